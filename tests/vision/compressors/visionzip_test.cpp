#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/vision/compressors/small_clips.h"

namespace lv::vision {
namespace {

/// The method over one picture in its plainest form: [b, D] in reading order.
at::Tensor plain(const at::Tensor& features, const at::Tensor& saliency, int64_t dominant,
                 int64_t contextual) {
  const int64_t count = features.size(0);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < count; ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return saliency[a].item<float>() > saliency[b].item<float>();
  });
  std::map<int64_t, at::Tensor> rows;  // by place
  for (int64_t i = 0; i < dominant; ++i) rows[order[i]] = features[order[i]];
  std::vector<int64_t> rest(order.begin() + dominant, order.end());
  std::sort(rest.begin(), rest.end());
  std::vector<int64_t> targets;
  std::vector<at::Tensor> sums(contextual, at::zeros({features.size(1)}));
  std::vector<int64_t> joined(contextual, 0);
  const int64_t step = static_cast<int64_t>(rest.size()) / contextual;
  for (int64_t c = 0; c < contextual; ++c) targets.push_back(rest[c * step]);
  for (const int64_t i : rest) {
    if (std::find(targets.begin(), targets.end(), i) != targets.end()) continue;
    int64_t likest = 0;
    double best = -2;
    for (int64_t c = 0; c < contextual; ++c) {
      const double cosine =
          at::cosine_similarity(features[i], features[targets[c]], 0).item<double>();
      if (cosine > best) {
        best = cosine;
        likest = c;
      }
    }
    sums[likest] = sums[likest] + features[i];
    ++joined[likest];
  }
  for (int64_t c = 0; c < contextual; ++c) {
    rows[targets[c]] =
        features[targets[c]] + sums[c] / static_cast<double>(std::max<int64_t>(1, joined[c]));
  }
  std::vector<at::Tensor> all;
  for (const auto& [place, row] : rows) all.push_back(row);
  return at::stack(all);
}

TEST_CASE("visionzip equals the plain form of the method") {
  const at::Tensor features = lcg_tensor(13, {40, 6});
  ClipTokens clip = clip_of(features, {24, 16});
  clip.visual.saliency = saliency_of(13, 1, 40);
  const at::Tensor saliency = clip.visual.saliency;
  const VisualTokens left = reduced("visionzip", "keep=0.25,contextual=0.5", clip);
  CHECK(at::equal(left.offsets, at::tensor({0, 6, 10}, at::kInt)));
  CHECK_THAT(left.features.slice(0, 0, 6),
             CloseTo(plain(features.slice(0, 0, 24), saliency.slice(0, 0, 24), 3, 3)));
  CHECK_THAT(left.features.slice(0, 6),
             CloseTo(plain(features.slice(0, 24), saliency.slice(0, 24), 2, 2)));
  CHECK(left.sizes.sum().item<float>() == 40);
}

TEST_CASE("visionzip: 64 of 576 are 54 and 10, and an average is of all") {
  ClipTokens clip = clip_of(lcg_tensor(13, {576, 4}), {576});
  clip.visual.saliency = at::arange(576, at::kFloat).flip(0);  // the first 54 lead
  const VisualTokens left = reduced("visionzip", "tokens=64,average=mean", clip);
  CHECK(at::equal(left.features.slice(0, 0, 54), clip.visual.features.slice(0, 0, 54)));
  CHECK(at::equal(left.sizes.slice(0, 0, 54), at::ones({54})));
  CHECK(left.features.abs().max().item<float>() <= 1);
}

TEST_CASE("visionzip: without attention there is one clear line") {
  const ClipTokens clip = clip_of(lcg_tensor(13, {9, 4}), {9});
  CHECK_THROWS_WITH(reduced("visionzip", "keep=0.5", clip),
                    "visionzip: expected tokens of an encoder that tells what it attends to");
  CHECK_NOTHROW(reduced("visionzip", "keep=1", clip));
}

}  // namespace
}  // namespace lv::vision
