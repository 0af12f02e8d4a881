#include "vision/encoders/encode_stage.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

constexpr int64_t kPicturesAtOnce = 4;  // through the encoder

class EncodeStage : public Stage<FrameBatch, VisualTokens> {
 public:
  EncodeStage(EncodeParts parts, EncodeOptions options)
      : parts_(std::move(parts)), options_(options) {
    check(parts_.processor && parts_.encoder, ErrorCode::kInvalidArgument,
          "encode: expected an image processor and an encoder");
    check(options_.max_frames >= 1, ErrorCode::kInvalidArgument,
          "encode.max_frames: expected at least 1, got " + std::to_string(options_.max_frames));
    if (!parts_.arranger) parts_.arranger = make_apart();
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
  VisualTokens encode(const at::Tensor& frames, const at::Tensor& pts_seconds, bool film) const {
    const ImageProcessor& processor =
        film && parts_.film_processor ? *parts_.film_processor : *parts_.processor;
    std::vector<at::Tensor> pixels;
    std::vector<CutPicture> cuts;
    for (const at::Tensor& frame : frames.unbind()) {
      ProcessedPicture picture = processor.process(frame);
      pixels.push_back(std::move(picture.pixels));
      cuts.push_back({frame.size(0), frame.size(1), picture.tiles, std::move(picture.boxes)});
    }
    const PictureFeatures seen = encoded(at::cat(pixels));
    PictureFeatures read = parts_.connector ? parts_.connector->connect(seen) : seen;
    const at::Tensor features = read.features;
    std::vector<VisualTokens> all;
    int64_t first = 0;  // picture of the frame
    for (size_t t = 0; t < cuts.size(); ++t) {
      const int64_t pictures = cuts[t].boxes.size(0);
      read.features = features.narrow(0, first, pictures);
      first += pictures;
      all.push_back(tokens_of(
          film ? parts_.arranger->frame(read, cuts[t]) : parts_.arranger->still(read, cuts[t]),
          pts_seconds[static_cast<int64_t>(t)].item<double>()));
      // The last picture shows the whole of the frame.
      add_labels(seen.features[first - 1], all.back());
    }
    return joined(all);
  }

  /// What follows a film, as a picture of its own at the last frame's time; nothing for most.
  std::optional<VisualTokens> after_film(double pts_seconds) const {
    const at::Tensor rows = parts_.arranger->after_film();
    if (!rows.defined() || rows.size(0) == 0) return std::nullopt;
    const int64_t count = rows.size(0);
    return tokens_of({rows,
                      at::tensor({0.f, 0.f, 1.f, 1.f}).expand({count, 4}),
                      at::zeros({count, 2}, at::kInt),
                      {{1, static_cast<int32_t>(count)}},
                      {count}},
                     pts_seconds);
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
        if (!batch_) return end_of_film();
        check_shape(batch_->pixels, "frames.pixels", {-1, -1, -1, 3});
        check_shape(batch_->pts_seconds, "frames.pts_seconds", {batch_->pixels.size(0)});
      }
      const bool film = batch_->media.kind == MediaKind::kVideo;
      const int64_t count = std::min(stage_.options_.max_frames, batch_->pixels.size(0) - done_);
      const int64_t from = done_;
      done_ += count;
      if (film) last_frame_ = batch_->pts_seconds[done_ - 1].item<double>();
      return stage_.encode(batch_->pixels.narrow(0, from, count),
                           batch_->pts_seconds.narrow(0, from, count), film);
    }

   private:
    std::optional<VisualTokens> end_of_film() {
      if (!last_frame_) return std::nullopt;
      const double pts_seconds = *std::exchange(last_frame_, std::nullopt);
      return stage_.after_film(pts_seconds);
    }

    const EncodeStage& stage_;
    SourcePtr<FrameBatch> input_;
    std::optional<FrameBatch> batch_;
    int64_t done_ = 0;                  // frames of the batch that were handed out
    std::optional<double> last_frame_;  // time of a film's last
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

  static VisualTokens tokens_of(ArrangedPicture picture, double pts_seconds) {
    const int64_t count = picture.features.size(0);
    VisualTokens tokens;
    tokens.features = picture.features.cpu();  // where its origin is
    std::vector<int32_t> offsets{0};
    for (const int64_t each : picture.counts) {
      offsets.push_back(offsets.back() + static_cast<int32_t>(each));
    }
    tokens.offsets = at::tensor(offsets, at::kInt);
    tokens.grids = std::move(picture.grids);
    tokens.origin = {at::full({count}, pts_seconds, at::kDouble), at::zeros({count}, at::kInt),
                     std::move(picture.boxes), at::full({count}, kObserved, at::kByte),
                     std::move(picture.tile)};
    return tokens;
  }

  /// Names a frame, in its last picture, by the mean of `features` [n, Dv].
  void add_labels(const at::Tensor& features, VisualTokens& tokens) const {
    if (parts_.class_names.empty()) return;
    const auto picture = static_cast<int32_t>(tokens.grids.size()) - 1;
    const int64_t wanted =
        std::min<int64_t>(options_.labels, static_cast<int64_t>(parts_.class_names.size()));
    const at::Tensor logits = (*parts_.encoder->class_head())(features.mean(0));
    const auto [probability, index] = at::softmax(logits.to(at::kFloat), -1).topk(wanted);
    for (int64_t i = 0; i < wanted; ++i) {
      const double share = probability[i].item<double>();
      if (share < options_.min_probability) break;
      tokens.labels.push_back({picture, parts_.class_names[index[i].item<int64_t>()], share});
    }
  }

  EncodeParts parts_;
  EncodeOptions options_;
};

/// A row's worth of each part that says something, `otherwise` of those that do not; undefined if
/// none does.
at::Tensor joined_rows(const std::vector<VisualTokens>& parts, at::Tensor VisualTokens::*field,
                       float otherwise) {
  bool any = false;
  std::vector<at::Tensor> rows;
  for (const VisualTokens& part : parts) {
    const at::Tensor& given = part.*field;
    any = any || given.defined();
    rows.push_back(given.defined() ? given
                                   : at::full({part.features.size(0)}, otherwise,
                                              part.features.options().dtype(at::kFloat)));
  }
  return any ? at::cat(rows) : at::Tensor();
}

/// Adds what was done to further tokens to what was done to those before, method by method.
void add_reports(std::vector<CompressionReport>& all, const std::vector<CompressionReport>& more) {
  for (size_t i = 0; i < more.size(); ++i) {
    if (i == all.size()) {
      all.push_back(more[i]);
      continue;
    }
    CompressionReport& sum = all[i];
    const auto before = static_cast<double>(sum.tokens_in),
               added = static_cast<double>(more[i].tokens_in);
    if (added > 0) {
      sum.fidelity = (sum.fidelity * before + more[i].fidelity * added) / (before + added);
    }
    sum.tokens_in += more[i].tokens_in;
    sum.tokens_out += more[i].tokens_out;
    sum.milliseconds += more[i].milliseconds;
  }
}

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
    add_reports(all.reports, part.reports);
    rows += part.features.size(0);
  }
  all.features = at::cat(features);
  all.offsets = at::cat(offsets);
  all.origin = lv::joined(origins);
  all.sizes = joined_rows(parts, &VisualTokens::sizes, 1);
  all.saliency = joined_rows(parts, &VisualTokens::saliency, 0);
  return all;
}

}  // namespace lv::vision
