#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"
#include "pipeline/stage/sources.h"
#include "tests/support/is_error.h"
#include "vision/decode/decode.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

/// A film of the checkout, or of the bundle that runs on a GPU host.
MediaRequest sample(const std::string& name, SamplingRule rule) {
  const char* home = std::getenv("LONGVIEW_HOME");
  MediaRequest request;
  request.media = std::string(home != nullptr ? home : LV_SOURCE_DIR) + "/.deps/samples/" + name;
  request.sampling.rule = std::move(rule);
  return request;
}

std::vector<FrameBatch> decoded(const MediaRequest& request, at::Device device) {
  return collect(*make_video_decode(8, device)->start(source_of_one(request)));
}

}  // namespace

TEST_CASE("a build without CUDA decodes on no GPU") {
  if (has_cuda_kernels()) return;
  CHECK_THROWS_MATCHES(decoded(sample("bikes.mp4", UniformFrames{2}), at::kCUDA), Error,
                       IsError(ErrorCode::kUnimplemented, "decodes on the CPU only"));
}

TEST_CASE("a GPU decodes what the CPU decodes, to a level", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  const std::string name = GENERATE("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4");
  const SamplingRule rule = GENERATE(SamplingRule(UniformFrames{9}), SamplingRule(KeyFrames{}),
                                     SamplingRule(SceneChanges{.2}));
  const MediaRequest request = sample(name, rule);
  CAPTURE(name, rule.index());
  const std::vector<FrameBatch> here = decoded(request, at::kCPU),
                                there = decoded(request, at::kCUDA);
  REQUIRE(there.size() == here.size());
  for (size_t i = 0; i < here.size(); ++i) {
    REQUIRE(there[i].pixels.is_cuda());
    REQUIRE(there[i].pts_seconds.equal(here[i].pts_seconds));
    CHECK(there[i].warnings == here[i].warnings);
    for (int64_t t = 0; t < here[i].pixels.size(0); ++t) {
      const at::Tensor cpu = here[i].pixels[t], gpu = there[i].pixels[t];
      const at::Tensor apart = (gpu.cpu().to(at::kInt) - cpu.to(at::kInt)).abs();
      CHECK(apart.max().item<int>() <= 1);
      // What an encoder sees of it. Two roundings may make two levels of one where a picture grows.
      const int most = std::min(cpu.size(0), cpu.size(1)) >= 378 ? 1 : 2;
      const at::Tensor small = resample(gpu, 378, 378, Filter::kBicubic).cpu();
      const at::Tensor expected = resample(cpu, 378, 378, Filter::kBicubic);
      CHECK((small.to(at::kInt) - expected.to(at::kInt)).abs().max().item<int>() <= most);
    }
  }
}

}  // namespace lv::vision
