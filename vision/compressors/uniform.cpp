#include <ATen/ATen.h>

#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

/// Keeps tokens at even distances and drops the rest: the baseline that looks at nothing. Of n
/// tokens and a budget of b, run i is [i n / b, (i + 1) n / b) and its middle token stays; sizes
/// say how long each run was.
class Uniform : public TokenCompressor {
 public:
  explicit Uniform(Params& params) : budget_(params, "uniform") {}

  VisualTokens reduce(const VisualTokens& tokens) const override {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<int64_t> middles, row_of;
    for (const auto& [first, last] : budget_.groups(tokens)) {
      const int64_t count = last - first, budget = budget_.of(count);
      for (int64_t i = 0; i < budget; ++i) {
        const int64_t from = i * count / budget, to = (i + 1) * count / budget;
        row_of.insert(row_of.end(), to - from, static_cast<int64_t>(middles.size()));
        middles.push_back(first + (from + to) / 2);
      }
    }
    const at::Device device = tokens.features.device();
    const at::Tensor kept = at::tensor(middles, at::kLong).to(device);
    const at::Tensor row_of_all = at::tensor(row_of, at::kLong).to(device);
    const at::Tensor dropped = at::ones_like(row_of_all, at::kBool).index_fill(0, kept, false);
    const Grouping grouping{row_of_all, kept.size(0), kept, dropped};
    return reported(grouped(tokens, grouping), "uniform", budget_.keep(tokens), tokens, grouping,
                    begin);
  }

 private:
  Budget budget_;
};

}  // namespace

std::unique_ptr<Compressor> make_uniform(Params params) {
  auto made = std::make_unique<Uniform>(params);
  params.done("uniform");
  return made;
}

}  // namespace lv::vision
