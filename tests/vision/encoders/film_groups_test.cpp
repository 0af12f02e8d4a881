#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"
#include "vision/encoders/encode_stage.h"

namespace lv::vision {
namespace {

class Plain : public ImageProcessor {
 public:
  ProcessedPicture process(const at::Tensor& picture) const override {
    return {picture.permute({2, 0, 1}).to(at::kFloat).unsqueeze(0),
            at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0),
            {}};
  }
};

/// The means of a picture, or of two frames, side by side.
class TwoFrames : public ImageEncoder {
 public:
  PictureFeatures encode(const at::Tensor& pixels) const override {
    if (pixels.dim() == 4) return encode(pixels.unsqueeze(1).expand({-1, 2, -1, -1, -1}));
    CHECK(pixels.size(1) == 2);
    return {pixels.mean({2, 3, 4}).unsqueeze(1), {1, 1}};
  }
  int64_t frames_together() const override { return 2; }
  int64_t width() const override { return 2; }
  const Linear* class_head() const override { return nullptr; }
};

/// Frames of one grey each.
FrameBatch batch_of(const std::vector<int64_t>& greys, int32_t source, MediaKind kind,
                    int64_t side = 4) {
  FrameBatch batch;
  const auto count = static_cast<int64_t>(greys.size());
  batch.pixels = at::zeros({count, side, side, 3}, at::kByte) +
                 at::tensor(greys, at::kLong).view({-1, 1, 1, 1}).to(at::kByte);
  batch.pts_seconds = at::tensor(greys, at::kDouble);
  batch.media.kind = kind;
  batch.source = source;
  return batch;
}

VisualTokens encoded(std::vector<FrameBatch> batches) {
  EncodeParts parts;
  parts.processor = std::make_shared<Plain>();
  parts.encoder = std::make_shared<TwoFrames>();
  const auto stage = make_encode(std::move(parts));
  return joined(collect(*stage->start(source_of(std::move(batches)))));
}

at::Tensor pairs(const std::vector<float>& all) { return at::tensor(all).view({-1, 2}); }

}  // namespace

TEST_CASE("frames that are read together come from any batches, the last stands for the missing") {
  const VisualTokens tokens = encoded({batch_of({1, 2, 3}, 0, MediaKind::kVideo),
                                       batch_of({4, 5, 6, 7, 8, 9, 10}, 0, MediaKind::kVideo),
                                       batch_of({11}, 0, MediaKind::kVideo)});
  CHECK_NOTHROW(validate(tokens));
  CHECK_THAT(tokens.features, CloseTo(pairs({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11}), 1e-6, 0));
  CHECK_THAT(tokens.origin.pts_seconds, CloseTo(at::arange(1, 12, 2, at::kDouble), 0, 0));
}

TEST_CASE("frames of two films, stills and other sizes are not read together") {
  const VisualTokens tokens =
      encoded({batch_of({1}, 0, MediaKind::kVideo), batch_of({2}, 1, MediaKind::kPicture),
               batch_of({3, 4, 5}, 2, MediaKind::kVideo), batch_of({6, 7}, 2, MediaKind::kVideo, 6),
               batch_of({8}, 3, MediaKind::kVideo)});
  CHECK_THAT(tokens.features, CloseTo(pairs({1, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8}), 1e-6, 0));
  CHECK(at::equal(tokens.origin.source, at::tensor({0, 1, 2, 2, 2, 3}, at::kInt)));
}

}  // namespace lv::vision
