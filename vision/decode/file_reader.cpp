#include "vision/decode/file_reader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>

#include "pipeline/base/error.h"
#include "pipeline/media/describe.h"
#include "pipeline/media/gpu_pictures.h"
#include "pipeline/media/picture_header.h"
#include "pipeline/media/still.h"

namespace lv::vision {
namespace {

constexpr int64_t kMostBatchBytes = 256LL << 20;  // larger pictures make smaller batches
constexpr double kTailSeconds = 10;               // read to find a film's end
constexpr double kEarlyEndSeconds = 1;            // what a header may promise too much

int64_t pixels_of(const Picture& picture) {
  return static_cast<int64_t>(picture.frame->width) * picture.frame->height;
}

/// Whether a film is a picture format with one picture only.
bool is_still(const MediaRequest& request, const MediaInput& input, const Demuxer& demuxer,
              int stream) {
  const std::string format = demuxer.format_name();
  return (format == "gif" || format == "apng") &&
         measure(input, request.limits, stream).packets <= 1;
}

}  // namespace

FileReader::FileReader(MediaRequest request, int64_t frames_per_batch, at::Device device,
                       SeekRule seek_rule)
    : request_((check_request(request), std::move(request))),
      frames_per_batch_(frames_per_batch),
      device_(device),
      input_(request_),
      warnings_(input_.name()) {
  check(!is_document(input_), ErrorCode::kInvalidArgument,
        input_.name() + ": expected a video or picture file, got a document");
  if (const std::optional<PictureHeader> header = read_picture_header(input_)) {
    media_ = {MediaKind::kPicture, 0, 0, 0};
    orientation_ = header->orientation;
    picker_ = pick_one(decode_still(input_, *header, request_.limits, warnings_));
  } else {
    open_film(seek_rule);
  }
  pending_ = pick();
  if (!pending_) throw_nothing();
  if (media_.width == 0 || media_.kind == MediaKind::kPicture) {
    media_.width = pending_->frame->width;
    media_.height = pending_->frame->height;
    if (swaps_sides(orientation_of(*pending_))) std::swap(media_.width, media_.height);
  }
}

void FileReader::open_film(SeekRule seek_rule) {
  demuxer_ = std::make_unique<Demuxer>(input_, request_.limits, warnings_);
  const std::optional<int> stream = demuxer_->best_stream(AVMEDIA_TYPE_VIDEO);
  check(stream.has_value(), ErrorCode::kNotFound, input_.name() + ": no video stream");
  const AVCodecParameters& coded = *demuxer_->stream(*stream).codecpar;
  check_picture_size(coded.width, coded.height, request_.limits, input_.name());
  media_ = describe(*demuxer_);
  orientation_ = demuxer_->orientation(*stream);
  const bool is_cover = demuxer_->is_cover(*stream);
  const bool still = is_cover || is_still(request_, input_, *demuxer_, *stream);
  const DecodeOn on{decoder_threads(static_cast<int64_t>(coded.width) * coded.height), device_};
  film_ = std::make_unique<Film>(*demuxer_, *stream,
                                 FrameReader(*demuxer_, *stream, request_.limits, on, warnings_),
                                 warnings_, seek_rule);
  if (!still) return open_range(*stream);
  if (is_cover) {
    warnings_.add("no film, its cover picture is used");
  } else {
    media_.kind = MediaKind::kPicture;
    media_.duration_seconds = 0;
  }
  std::optional<Picture> picture = film_->next_from(-1e9, 1e9);
  if (!picture) throw_nothing();
  picture->pts_seconds = 0;
  picker_ = pick_one(std::move(*picture));
}

void FileReader::open_range(int stream) {
  TimeRange film{std::max(film_->start_seconds().value_or(0), 0.0), 0};
  std::optional<double> end = film_->end_seconds();
  if (!end) {
    const double guess = film.begin + demuxer_->duration_seconds().value_or(0);
    end = measure(input_, request_.limits, stream, guess - kTailSeconds).end_seconds;
  }
  film.end = std::max(end.value_or(0), film.begin + 1e-3);
  if (media_.duration_seconds == 0) media_.duration_seconds = film.end - film.begin;
  range_ = sampled_range(request_.sampling, request_.limits, film, warnings_);
  picker_ = make_picker(*film_, request_.sampling.rule, range_, request_.limits, warnings_);
}

std::optional<Picture> FileReader::pick() {
  std::optional<Picture> picture = picker_->next();
  if (!picture) {
    report_early_end();
    return std::nullopt;
  }
  const MediaLimits& limits = request_.limits;
  if (picked_ == limits.max_frames) {
    warnings_.add("stopped after " + std::to_string(picked_) + " pictures, which is the limit");
    return std::nullopt;
  }
  if (picked_pixels_ + pixels_of(*picture) > limits.max_total_pixels) {
    const std::string text = "stopped before picture " + std::to_string(picked_ + 1) +
                             ", all together may have " + std::to_string(limits.max_total_pixels) +
                             " pixels";
    check(picked_ > 0, ErrorCode::kResourceExhausted, input_.name() + ": " + text);
    warnings_.add(text);
    return std::nullopt;
  }
  ++picked_;
  picked_pixels_ += pixels_of(*picture);
  return picture;
}

void FileReader::report_early_end() {
  if (!film_ || !film_->last_seconds() || range_.end - *film_->last_seconds() < kEarlyEndSeconds) {
    return;
  }
  // A picture may well be shown for long, so this is only worth a word where reading went wrong.
  if (warnings_.first().empty()) return;
  char text[96];
  std::snprintf(text, sizeof(text), "its pictures end at %.3f s, %.3f s were expected",
                *film_->last_seconds(), range_.end);
  warnings_.add(text);
}

void FileReader::throw_nothing() const {
  const std::string why = warnings_.first();
  const bool asked_for_none = picker_ && picker_->most_pictures() == 0;
  const bool read_well = film_ && film_->packets_read() > 0 && why.empty();
  if (asked_for_none || read_well || (film_ && film_->decoded_any())) {
    throw Error(ErrorCode::kOutOfRange,
                input_.name() + ": no picture lies where the sampling asks for one");
  }
  throw Error(ErrorCode::kDataLoss, input_.name() + ": expected pictures, none can be decoded" +
                                        (why.empty() ? "" : " (" + why + ")"));
}

Orientation FileReader::orientation_of(const Picture& picture) const {
  if (!film_) return orientation_;
  const AVFrameSideData* matrix =
      av_frame_get_side_data(picture.frame.get(), AV_FRAME_DATA_DISPLAYMATRIX);
  if (matrix == nullptr || matrix->size < 9 * sizeof(int32_t)) return orientation_;
  return orientation_of_matrix(reinterpret_cast<const int32_t*>(matrix->data));
}

std::optional<FrameBatch> FileReader::next() {
  if (!pending_) return std::nullopt;
  const int64_t width = pending_->frame->width, height = pending_->frame->height;
  const Orientation orientation = orientation_of(*pending_);
  const int64_t bytes = width * height * 3;
  const int64_t room = std::min({frames_per_batch_, std::max<int64_t>(kMostBatchBytes / bytes, 1),
                                 picker_->most_pictures().value_or(frames_per_batch_)});
  const bool swaps = swaps_sides(orientation);
  const bool on_gpu = is_on_gpu(*pending_->frame);
  const auto empty_rgb = [&](at::IntArrayRef sizes) {
    return on_gpu ? at::empty(sizes, at::TensorOptions(device_).dtype(at::kByte))
                  : ColorConverter::empty_rgb(sizes);
  };
  const at::Tensor pixels = empty_rgb({room, swaps ? width : height, swaps ? height : width, 3});
  at::Tensor stored;
  if (orientation != 1) stored = empty_rgb({height, width, 3});
  std::vector<double> times;
  while (pending_ && static_cast<int64_t>(times.size()) < room && pending_->frame->width == width &&
         pending_->frame->height == height && orientation_of(*pending_) == orientation &&
         is_on_gpu(*pending_->frame) == on_gpu) {
    at::Tensor shown = pixels[static_cast<int64_t>(times.size())];
    converter_.to_rgb(*pending_->frame, orientation == 1 ? shown : stored);
    if (orientation != 1) shown.copy_(turn(stored, orientation));
    times.push_back(pending_->pts_seconds);
    pending_ = pick();
  }
  const auto count = static_cast<int64_t>(times.size());
  FrameBatch batch;
  batch.pixels = pixels.narrow(0, 0, count);
  batch.pts_seconds = at::tensor(times, at::kDouble);
  batch.media = media_;
  batch.warnings = warnings_.take();
  batch.film_frames = picker_->most_pictures().value_or(0);
  return batch;
}

}  // namespace lv::vision
