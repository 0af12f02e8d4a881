#include "vision/encoders/encode_stage.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"

namespace lv::vision {
namespace {

// Pictures through the encoder at once: what a layer holds for one of them is many times its
// features, but a GPU is busy with many only.
constexpr int64_t kPicturesAtOnce = 4, kPicturesAtOnceOnGpu = 32;
constexpr int64_t kPixelsAtOnce = 8 << 20;  // of more than the fewest
constexpr const char* kPageView = "page";   // of pages of documents

/// A still or a frame of a film, as its processor made it.
struct ProcessedFrame {
  ProcessedPicture picture;
  PictureSize size;  // before it was scaled
  double pts_seconds = 0;
};

class EncodeStage : public Stage<FrameBatch, VisualTokens> {
 public:
  EncodeStage(EncodeParts parts, EncodeOptions options)
      : parts_(std::move(parts)), options_(options) {
    check(parts_.processor && parts_.encoder, ErrorCode::kInvalidArgument,
          "encode: expected an image processor and an encoder");
    check(options_.max_frames >= 0, ErrorCode::kInvalidArgument,
          "encode.max_frames: expected at least 0, got " + std::to_string(options_.max_frames));
    const int64_t at_once = parts_.device.is_cpu() ? kPicturesAtOnce : kPicturesAtOnceOnGpu;
    if (options_.max_frames == 0) options_.max_frames = at_once;
    check(options_.max_set_pictures >= 1 && options_.max_set_pixels >= 1,
          ErrorCode::kInvalidArgument, "encode.max_set: expected room for at least one picture");
    if (!parts_.arranger) parts_.arranger = make_apart();
    if (!parts_.replay) parts_.replay = std::make_shared<EncoderReplay>(parts_.encoder);
    if (options_.merging) {
      const std::string obstacle = merging_obstacle(parts_);
      check(obstacle.empty(), ErrorCode::kUnimplemented,
            "tome.at: tokens cannot merge between layers (at=layers): " + obstacle +
                "; at=tokens merges what the encoder gives");
    }
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

  const ImageProcessor& processor(MediaKind kind) const {
    const bool film = kind == MediaKind::kVideo, page = kind == MediaKind::kDocument;
    if (film && parts_.film_processor) return *parts_.film_processor;
    return page && parts_.page_processor ? *parts_.page_processor : *parts_.processor;
  }

  int64_t frames_together() const { return parts_.encoder->frames_together(); }

  /// Pixels where they are prepared.
  at::Tensor placed(const at::Tensor& pixels) const {
    return parts_.device.is_cpu() || has_cuda_kernels() ? pixels.to(parts_.device) : pixels;
  }

  /// Where the frames of a source stand, as far as they are read.
  struct Reading {
    int32_t source = 0;
    bool film = false;
    std::string view = {};
    std::optional<double> first_seconds = {};  // of a film
    at::Tensor before = {};                    // of a film: features of its latest picture
  };

  /// Tokens of the next frames of one source.
  VisualTokens encode(std::vector<ProcessedFrame> frames, Reading& reading) const {
    std::vector<AlikePixels> pixels;
    for (ProcessedFrame& frame : frames) {
      add_pixels(frame.picture, pixels);
      frame.picture.pixels.reset();
    }
    std::vector<at::Tensor> seen;  // of each picture, [n, Dv]
    const PictureFeatures read = told_here(connected(pixels, place_of(frames, reading), seen));
    if (reading.film) reading.before = seen.back();
    std::vector<VisualTokens> all;
    int64_t first = 0;  // picture of the frame
    for (const ProcessedFrame& frame : frames) {
      const CutPicture cut{frame.size.height, frame.size.width, frame.picture.tiles,
                           frame.picture.boxes};
      const int64_t pictures = cut.boxes.size(0);
      const PictureFeatures own = narrowed(read, first, pictures);
      first += pictures;
      all.push_back(tokens_of(
          reading.film ? parts_.arranger->frame(own, cut) : parts_.arranger->still(own, cut),
          frame.pts_seconds, reading.source));
      if (options_.merging) all.back().reports.push_back(report_of(own));
      // The last picture shows the whole of the frame.
      add_labels(seen[static_cast<size_t>(first - 1)], all.back());
    }
    return joined(all);
  }

  /// What follows a film, as a picture of its own at the last frame's time; nothing for most.
  std::optional<VisualTokens> after_film(double pts_seconds, int32_t source) const {
    const at::Tensor rows = parts_.arranger->after_film();
    if (!rows.defined() || rows.size(0) == 0) return std::nullopt;
    const int64_t count = rows.size(0);
    return tokens_of({rows,
                      at::tensor({0.f, 0.f, 1.f, 1.f}).expand({count, 4}),
                      at::zeros({count, 2}, at::kInt),
                      {{1, static_cast<int32_t>(count)}},
                      {count}},
                     pts_seconds, source);
  }

 private:
  /// A run. Stills wait for the end of the input where the processor regards them as a set.
  class Encoded : public Source<VisualTokens> {
   public:
    Encoded(const EncodeStage& stage, SourcePtr<FrameBatch> input)
        : stage_(stage), input_(std::move(input)) {}

    std::optional<VisualTokens> next() override {
      while (true) {
        if (auto rest = left_of_film()) return rest;
        if (auto end = end_of_film()) return end;
        if (batch_ && done_ < batch_->pixels.size(0)) {
          if (auto some = some_frames()) return some;
          continue;
        }
        if (ended_) return still_of_set();
        take_batch();
      }
    }

   private:
    struct Still {
      at::Tensor pixels;  // [H, W, 3]
      double pts_seconds = 0;
      int32_t source = 0;
      MediaKind kind = MediaKind::kPicture;
      std::string view;
    };

    bool is_film() const { return batch_ && batch_->media.kind == MediaKind::kVideo; }

    void take_batch() {
      batch_ = input_->next();
      done_ = 0;
      ended_ = !batch_;
      if (ended_) return;
      check_shape(batch_->pixels, "frames.pixels", {-1, -1, -1, 3});
      check_shape(batch_->pts_seconds, "frames.pts_seconds", {batch_->pixels.size(0)});
      if (!is_film() && stage_.processor(batch_->media.kind).regards_set()) hold_stills();
    }

    void hold_stills() {
      const at::Tensor& pixels = batch_->pixels;
      for (int64_t t = 0; t < pixels.size(0); ++t) {
        set_.push_back({pixels[t], batch_->pts_seconds[t].item<double>(), batch_->source,
                        batch_->media.kind, view_of(*batch_)});
        set_sizes_.push_back({pixels.size(1), pixels.size(2)});
        set_pixels_ += pixels.size(1) * pixels.size(2);
        const EncodeOptions& limits = stage_.options_;
        check(static_cast<int64_t>(set_.size()) <= limits.max_set_pictures &&
                  set_pixels_ <= limits.max_set_pixels,
              ErrorCode::kResourceExhausted,
              "pictures: expected at most " + std::to_string(limits.max_set_pictures) +
                  " that are read together, and " + std::to_string(limits.max_set_pixels) +
                  " pixels of all, got more");
      }
      done_ = pixels.size(0);
    }

    std::optional<VisualTokens> some_frames() {
      const bool film = is_film();
      const MediaKind kind = batch_->media.kind;
      const int64_t count = std::min(stage_.options_.max_frames, batch_->pixels.size(0) - done_);
      std::vector<ProcessedFrame> frames;
      const at::Tensor pixels = stage_.placed(batch_->pixels.narrow(0, done_, count));
      for (int64_t t = done_; t < done_ + count; ++t) {
        const ImageProcessor& processor = stage_.processor(kind);
        const at::Tensor picture = pixels[t - done_];
        frames.push_back({film ? processor.process_frame(picture, batch_->film_frames)
                               : processor.process(picture),
                          {batch_->pixels.size(1), batch_->pixels.size(2)},
                          batch_->pts_seconds[t].item<double>()});
      }
      done_ += count;
      if (!film) {
        Reading still{batch_->source, false, view_of(*batch_)};
        return stage_.encode(std::move(frames), still);
      }
      begin_film();
      last_frame_ = {frames.back().pts_seconds, batch_->source};
      std::vector<ProcessedFrame> whole;
      for (ProcessedFrame& frame : frames) {
        waiting_.push_back(std::move(frame));
        if (static_cast<int64_t>(waiting_.size()) == stage_.frames_together()) {
          whole.push_back(group());
        }
      }
      if (whole.empty()) return std::nullopt;
      return stage_.encode(std::move(whole), film_);
    }

    /// Notes that frames of the batch's film are read, unless they go on.
    void begin_film() {
      if (film_.film && film_.source == batch_->source) return;
      film_ = {batch_->source, true, view_of(*batch_)};
    }

    static std::string view_of(const FrameBatch& batch) {
      return batch.media.kind == MediaKind::kDocument ? kPageView : batch.view;
    }

    /// The frames that wait as one that shows them all, the last as often as it takes.
    ProcessedFrame group() {
      std::vector<ProcessedFrame> frames = std::exchange(waiting_, {});
      if (stage_.frames_together() == 1) return std::move(frames.front());
      std::vector<at::Tensor> pixels;
      for (int64_t i = 0; i < stage_.frames_together(); ++i) {
        const size_t shown = std::min(static_cast<size_t>(i), frames.size() - 1);
        pixels.push_back(frames[shown].picture.pixels);
      }
      frames.front().picture.pixels = at::stack(pixels, 1);
      return std::move(frames.front());
    }

    std::optional<VisualTokens> still_of_set() {
      if (set_done_ == set_.size()) return std::nullopt;
      const Still still = std::exchange(set_[set_done_], {});
      ProcessedPicture picture =
          stage_.processor(still.kind)
              .process_in_set(stage_.placed(still.pixels), set_sizes_, set_done_);
      ProcessedFrame frame{std::move(picture), set_sizes_[set_done_++], still.pts_seconds};
      std::vector<ProcessedFrame> alone;
      alone.push_back(std::move(frame));
      Reading reading{still.source, false, still.view};
      return stage_.encode(std::move(alone), reading);
    }

    /// Frames that wait for others of their film and size, of which there are no more.
    std::optional<VisualTokens> left_of_film() {
      if (waiting_.empty()) return std::nullopt;
      const PictureSize size = waiting_.front().size;
      const bool goes_on = is_film() && batch_->source == last_frame_->second &&
                           batch_->pixels.size(1) == size.height &&
                           batch_->pixels.size(2) == size.width;
      if (goes_on) return std::nullopt;
      std::vector<ProcessedFrame> rest;
      rest.push_back(group());
      return stage_.encode(std::move(rest), film_);
    }

    /// What follows a film whose last frame was handed out, once another source began or none did.
    std::optional<VisualTokens> end_of_film() {
      if (!last_frame_ || (is_film() && batch_->source == last_frame_->second)) return std::nullopt;
      const auto [pts_seconds, source] = *std::exchange(last_frame_, std::nullopt);
      return stage_.after_film(pts_seconds, source);
    }

    const EncodeStage& stage_;
    SourcePtr<FrameBatch> input_;
    std::optional<FrameBatch> batch_;
    int64_t done_ = 0;    // frames of the batch that were handed out
    bool ended_ = false;  // the input
    std::optional<std::pair<double, int32_t>> last_frame_;  // of a film: its time and source
    Reading film_;                         // the film that is read, if `film_.film`
    std::vector<ProcessedFrame> waiting_;  // of the film, for those that are read with them
    std::vector<Still> set_;
    std::vector<PictureSize> set_sizes_;
    int64_t set_pixels_ = 0;
    size_t set_done_ = 0;  // stills of the set that were handed out
  };

  /// Pixels of pictures that follow one another and are of one size, each [P, 3, H, W].
  using AlikePixels = std::vector<at::Tensor>;

  static void add_pixels(const ProcessedPicture& picture, std::vector<AlikePixels>& all) {
    std::vector<at::Tensor> parts;
    if (picture.sizes.empty()) parts.push_back(picture.pixels);
    for (size_t i = 0; i < picture.sizes.size(); ++i) {
      const PictureSize& size = picture.sizes[i];
      parts.push_back(picture.pixels.narrow(0, static_cast<int64_t>(i), 1)
                          .narrow(2, 0, size.height)
                          .narrow(3, 0, size.width));
    }
    for (at::Tensor& part : parts) {
      const bool alike =
          !all.empty() && all.back().front().sizes().slice(1) == part.sizes().slice(1);
      if (!alike) all.emplace_back();
      all.back().push_back(std::move(part));
    }
  }

  static FilmPlace place_of(const std::vector<ProcessedFrame>& frames, Reading& reading) {
    if (!reading.film) return {{}, {}, reading.view};
    if (!reading.first_seconds) reading.first_seconds = frames.front().pts_seconds;
    std::vector<double> seconds;
    for (const ProcessedFrame& frame : frames) {
      seconds.push_back(frame.pts_seconds - *reading.first_seconds);
    }
    return {at::tensor(seconds, at::kDouble), reading.before, reading.view};
  }

  /// Pictures of each size through encoder and connector. `seen` gets what the encoder made of
  /// each. Pictures of several sizes must become equally many tokens.
  PictureFeatures connected(const std::vector<AlikePixels>& pixels, const FilmPlace& place,
                            std::vector<at::Tensor>& seen) const {
    std::vector<PictureFeatures> all;
    for (const AlikePixels& alike : pixels) {
      const PictureFeatures encoded_now = encoded(alike);
      for (const at::Tensor& picture : encoded_now.features.unbind()) seen.push_back(picture);
      all.push_back(parts_.connector ? parts_.connector->connect_film(encoded_now, place)
                                     : encoded_now);
    }
    return joined(all);
  }

  int64_t pictures_at_once(const at::Tensor& pixels) const {
    if (parts_.device.is_cpu()) return kPicturesAtOnce;
    const int64_t each = std::max<int64_t>(pixels.size(-1) * pixels.size(-2), 1);
    return std::clamp(kPixelsAtOnce / each, kPicturesAtOnce, kPicturesAtOnceOnGpu);
  }

  PictureFeatures encoded(const AlikePixels& pixels) const {
    std::vector<PictureFeatures> all;
    const at::Tensor pictures = at::cat(pixels);
    for (const at::Tensor& some : pictures.split(pictures_at_once(pictures))) {
      all.push_back(parts_.replay->encode(some, how_to_merge()));
    }
    return joined(all);
  }

  LayerMerging how_to_merge() const {
    LayerMerging merging = options_.merging.value_or(LayerMerging{});
    merging.tell_saliency = options_.saliency;
    return merging;
  }

  /// With what is said of the features on the CPU: of all pictures at once, as each time waits for
  /// whatever a GPU has to do.
  static PictureFeatures told_here(PictureFeatures pictures) {
    if (pictures.saliency.defined()) pictures.saliency = pictures.saliency.cpu();
    if (!pictures.merged) return pictures;
    for (at::Tensor MergedPlaces::*field :
         {&MergedPlaces::row_of, &MergedPlaces::sizes, &MergedPlaces::likeness}) {
      at::Tensor& said = (*pictures.merged).*field;
      said = said.cpu();
    }
    return pictures;
  }

  /// What merging between layers did to a frame's pictures.
  CompressionReport report_of(const PictureFeatures& pictures) const {
    const int64_t tokens = pictures.features.size(0) * pictures.features.size(1);
    CompressionReport report{"tome", options_.merging->keep, tokens, tokens, 1, 0};
    if (!pictures.merged) return report;
    report.tokens_in = pictures.merged->row_of.numel();
    report.fidelity = pictures.merged->likeness.mean().item<double>();
    report.milliseconds = pictures.merged->milliseconds;
    return report;
  }

  static VisualTokens tokens_of(ArrangedPicture picture, double pts_seconds, int32_t source) {
    const int64_t count = picture.features.size(0);
    VisualTokens tokens;
    tokens.features = std::move(picture.features);
    std::vector<int32_t> offsets{0};
    for (const int64_t each : picture.counts) {
      offsets.push_back(offsets.back() + static_cast<int32_t>(each));
    }
    tokens.offsets = at::tensor(offsets, at::kInt);
    tokens.grids = std::move(picture.grids);
    if (picture.saliency.defined()) tokens.saliency = std::move(picture.saliency);
    at::Tensor flags = at::full({count}, kObserved, at::kByte);
    if (picture.sizes.defined()) {
      flags = at::where(picture.sizes > 1, kObserved | kMerged, flags).to(at::kByte);
    }
    tokens.sizes = std::move(picture.sizes);
    tokens.origin = {at::full({count}, pts_seconds, at::kDouble),
                     at::full({count}, source, at::kInt), std::move(picture.boxes),
                     std::move(flags), std::move(picture.tile)};
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

std::string merging_obstacle(const EncodeParts& parts) {
  if (parts.encoder->merging() == nullptr) {
    return (parts.architecture.empty() ? "the image encoder" : parts.architecture) +
           " needs its grid to the end";
  }
  if (parts.connector && parts.connector->needs_grid()) {
    return "what joins " + parts.architecture + " to the language model needs the grid";
  }
  if (parts.arranger && parts.arranger->needs_grid()) {
    return "the tiles of a picture are put together as a grid";
  }
  return {};
}

std::optional<LayerMerging> merging_for(const TomeParams& tome, const EncodeParts& parts) {
  const bool asked = tome.at == TomeParams::At::kLayers;
  const bool usual = tome.at == TomeParams::At::kEither && merging_obstacle(parts).empty();
  if (!asked && !usual) return std::nullopt;
  LayerMerging merging = parts.merging.value_or(LayerMerging{});
  merging.keep = tome.keep;
  if (tome.schedule) merging.schedule = *tome.schedule;
  if (tome.attention) merging.attention = *tome.attention;
  return merging;
}

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
