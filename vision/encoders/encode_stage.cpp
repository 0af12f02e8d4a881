#include "vision/encoders/encode_stage.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

constexpr int64_t kPicturesAtOnce = 8;  // through the encoder

/// The cells of a grid over each picture's box: [P, 4] -> [P, rows * columns, 4], within [0, 1].
at::Tensor cell_boxes(const at::Tensor& boxes, const PatchGrid& grid) {
  const at::Tensor left = at::arange(grid.columns, at::kFloat) / grid.columns;
  const at::Tensor top = at::arange(grid.rows, at::kFloat) / grid.rows;
  const at::Tensor x0 = left.repeat({grid.rows});
  const at::Tensor y0 = top.repeat_interleave(grid.columns);
  const at::Tensor cells = at::stack({x0, y0, x0 + 1.0 / grid.columns, y0 + 1.0 / grid.rows},
                                     -1);  // [cells, 4] of the box
  const at::Tensor origin = boxes.slice(1, 0, 2).repeat({1, 2}).unsqueeze(1);  // [P, 1, 4]
  const at::Tensor extent = (boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2)).repeat({1, 2});
  return (origin + extent.unsqueeze(1) * cells).clamp(0, 1);
}

/// What each feature shows of the frame: [P, 4] -> [M, 4].
at::Tensor token_boxes(const at::Tensor& boxes, const PictureFeatures& pictures) {
  const at::Tensor whole = boxes.clamp(0, 1).unsqueeze(1).expand({-1, pictures.whole, 4});
  return at::cat({whole, cell_boxes(boxes, pictures.grid)}, 1).reshape({-1, 4});
}

/// The tile that each picture of a processed frame shows: [P, 2]. The tiles come first, then the
/// whole.
at::Tensor tiles_of(const ProcessedPicture& picture) {
  const at::Tensor places = at::zeros({picture.pixels.size(0), 2}, at::kInt);
  const int64_t rows = picture.tiles.rows, columns = picture.tiles.columns;
  check(rows * columns <= places.size(0), ErrorCode::kInternal,
        "picture.tiles: expected as many as pictures, got more");
  for (int64_t i = 0; i < rows * columns; ++i) {
    places[i][0] = i / columns + 1;
    places[i][1] = i % columns + 1;
  }
  return places;
}

class EncodeStage : public Stage<FrameBatch, VisualTokens> {
 public:
  EncodeStage(EncodeParts parts, EncodeOptions options)
      : parts_(std::move(parts)), options_(options) {
    check(parts_.processor && parts_.encoder, ErrorCode::kInvalidArgument,
          "encode: expected an image processor and an encoder");
    check(options_.max_frames >= 1, ErrorCode::kInvalidArgument,
          "encode.max_frames: expected at least 1, got " + std::to_string(options_.max_frames));
    if (parts_.class_names.empty()) return;
    const Linear* head = parts_.encoder->class_head();
    const int64_t classes = head == nullptr ? 0 : shape_of(head->weight())[0];
    check(static_cast<int64_t>(parts_.class_names.size()) == classes, ErrorCode::kInvalidArgument,
          "encode: expected " + std::to_string(classes) + " class names, got " +
              std::to_string(parts_.class_names.size()));
  }

  SourcePtr<VisualTokens> start(SourcePtr<FrameBatch> input) const override {
    return std::make_unique<Encoded>(*this, std::move(input));
  }

  /// Tokens of frames [T, H, W, 3] shown at [T].
  VisualTokens encode(const at::Tensor& frames, const at::Tensor& pts_seconds,
                      MediaKind kind) const {
    const bool film = kind == MediaKind::kVideo && parts_.film_processor;
    const ImageProcessor& processor = film ? *parts_.film_processor : *parts_.processor;
    std::vector<at::Tensor> pixels, boxes, places;
    std::vector<int64_t> tiles;  // pictures of each frame
    for (const at::Tensor& frame : frames.unbind()) {
      ProcessedPicture picture = processor.process(frame);
      tiles.push_back(picture.pixels.size(0));
      places.push_back(tiles_of(picture));
      pixels.push_back(std::move(picture.pixels));
      boxes.push_back(std::move(picture.boxes));
    }
    const PictureFeatures seen = encoded(at::cat(pixels));
    const PictureFeatures read = parts_.connector ? parts_.connector->connect(seen) : seen;
    const int64_t pictures = read.features.size(0), cells = read.features.size(1);
    const at::Tensor of_picture = pts_seconds.repeat_interleave(at::tensor(tiles));
    VisualTokens tokens;
    tokens.features = read.features.flatten(0, 1);  // [M, D]
    tokens.offsets = at::arange(pictures + 1, at::kInt) * cells;
    tokens.grids.assign(pictures, read.grid);
    tokens.origin = {of_picture.repeat_interleave(cells), at::zeros({pictures * cells}, at::kInt),
                     token_boxes(at::cat(boxes), read),
                     at::full({pictures * cells}, kObserved, at::kByte),
                     at::cat(places).repeat_interleave(cells, 0)};
    add_labels(seen.features, tiles, tokens);
    return tokens;
  }

 private:
  class Encoded : public Source<VisualTokens> {
   public:
    Encoded(const EncodeStage& stage, SourcePtr<FrameBatch> input)
        : stage_(stage), input_(std::move(input)) {}

    std::optional<VisualTokens> next() override {
      while (!batch_ || done_ == batch_->pixels.size(0)) {
        batch_ = input_->next();
        done_ = 0;
        if (!batch_) return std::nullopt;
        check_shape(batch_->pixels, "frames.pixels", {-1, -1, -1, 3});
        check_shape(batch_->pts_seconds, "frames.pts_seconds", {batch_->pixels.size(0)});
      }
      const int64_t count = std::min(stage_.options_.max_frames, batch_->pixels.size(0) - done_);
      const int64_t from = done_;
      done_ += count;
      return stage_.encode(batch_->pixels.narrow(0, from, count),
                           batch_->pts_seconds.narrow(0, from, count), batch_->media.kind);
    }

   private:
    const EncodeStage& stage_;
    SourcePtr<FrameBatch> input_;
    std::optional<FrameBatch> batch_;
    int64_t done_ = 0;  // frames of the batch that were handed out
  };

  /// A few pictures at a time: what a layer holds for one of them is many times its features.
  PictureFeatures encoded(const at::Tensor& pixels) const {
    PictureFeatures all;
    std::vector<at::Tensor> features;
    for (const at::Tensor& some : pixels.split(kPicturesAtOnce)) {
      all = parts_.encoder->encode(some);
      features.push_back(all.features);
    }
    all.features = at::cat(features);
    return all;
  }

  /// Names each frame by the mean of its last picture, which shows the whole of it.
  void add_labels(const at::Tensor& features, const std::vector<int64_t>& tiles,
                  VisualTokens& tokens) const {
    if (parts_.class_names.empty()) return;
    const int64_t wanted =
        std::min<int64_t>(options_.labels, static_cast<int64_t>(parts_.class_names.size()));
    int64_t picture = -1;
    for (const int64_t count : tiles) {
      picture += count;
      const at::Tensor logits = (*parts_.encoder->class_head())(features[picture].mean(0));
      const auto [probability, index] = at::softmax(logits.to(at::kFloat), -1).topk(wanted);
      for (int64_t i = 0; i < wanted; ++i) {
        const double share = probability[i].item<double>();
        if (share < options_.min_probability) break;
        tokens.labels.push_back(
            {static_cast<int32_t>(picture), parts_.class_names[index[i].item<int64_t>()], share});
      }
    }
  }

  EncodeParts parts_;
  EncodeOptions options_;
};

}  // namespace

StagePtr<FrameBatch, VisualTokens> make_encode(EncodeParts parts, EncodeOptions options) {
  return std::make_shared<EncodeStage>(std::move(parts), options);
}

VisualTokens joined(const std::vector<VisualTokens>& parts) {
  check(!parts.empty(), ErrorCode::kInvalidArgument, "joined: expected tokens, got none");
  VisualTokens all;
  std::vector<at::Tensor> features, offsets;
  std::vector<TokenOrigin> origins;
  offsets.push_back(at::zeros({1}, at::kInt));
  int64_t rows = 0;
  for (const VisualTokens& part : parts) {
    check_shape(part.features, "visual.features", {-1, parts.front().features.size(1)});
    features.push_back(part.features);
    offsets.push_back(part.offsets.slice(0, 1) + rows);
    origins.push_back(part.origin);
    for (PictureLabel label : part.labels) {
      label.picture += static_cast<int32_t>(all.grids.size());
      all.labels.push_back(std::move(label));
    }
    all.grids.insert(all.grids.end(), part.grids.begin(), part.grids.end());
    rows += part.features.size(0);
  }
  all.features = at::cat(features);
  all.offsets = at::cat(offsets);
  all.origin = lv::joined(origins);
  return all;
}

}  // namespace lv::vision
