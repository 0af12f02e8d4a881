#include "pipeline/base/error.h"
#include "vision/kernels/launch.h"

// Stands for the .cu files in builds without CUDA.

namespace lv::vision {
namespace {

[[noreturn]] void missing() {
  throw Error(ErrorCode::kUnimplemented, "built without CUDA kernels");
}

}  // namespace

void launch_unit_mean(const UnitMean&, void*) { missing(); }
void launch_rank_pairs(const RankPairs&, void*) { missing(); }
void launch_merge_rows(const MergeRows&, void*) { missing(); }
void launch_resample_axis(const ResampleAxis&, void*) { missing(); }

}  // namespace lv::vision
