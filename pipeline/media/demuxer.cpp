#include "pipeline/media/demuxer.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/media/packet_decoder.h"

namespace lv {
namespace {

// Containers and bare streams of film and sound. Left out: whatever names other files or hosts
// (hls, dash, concat, sdp, image2 ...), text art, subtitles, trackers and emulators.
constexpr char kFormats[] =
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,ogg,asf,rm,mxf,nut,dv,wtv,ivf,obu,"
    "av1,h264,hevc,m4v,vc1,mjpeg,yuv4mpegpipe,gif,apng,"
    "wav,w64,mp3,aac,flac,ac3,eac3,dts,truehd,aiff,amr,amrnb,amrwb,au,caf,ape,wv,tta,tak";

// Those whose seeks use an index or search the times of the packets themselves.
constexpr std::string_view kExactSeekers[] = {"mov", "matroska", "avi", "mpegts", "mpeg"};

constexpr int kIoBufferBytes = 64 << 10;
constexpr int kMostStreams = 64;
constexpr int kMostReadErrors = 8;  // in a row

int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

/// The options for the decoders that avformat_find_stream_info() opens, one entry a stream.
class ProbeOptions {
 public:
  ProbeOptions(unsigned count, int64_t max_pixels) : options_(count, nullptr) {
    for (AVDictionary*& one : options_) {
      av_dict_set_int(&one, "max_pixels", max_pixels, 0);
      av_dict_set(&one, "threads", "1", 0);
    }
  }
  ~ProbeOptions() {
    for (AVDictionary*& one : options_) av_dict_free(&one);
  }
  ProbeOptions(const ProbeOptions&) = delete;
  ProbeOptions& operator=(const ProbeOptions&) = delete;
  AVDictionary** data() { return options_.data(); }

 private:
  std::vector<AVDictionary*> options_;
};

}  // namespace

Demuxer::Demuxer(const MediaInput& input, const MediaLimits& limits, Warnings& warnings)
    : input_(input), limits_(limits), warnings_(warnings) {
  capture_ffmpeg_log();
  open();
}

void Demuxer::reopen() {
  format_.reset();
  open();
}

void Demuxer::open() {
  offset_ = 0;
  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
  check(buffer != nullptr, ErrorCode::kResourceExhausted, "FFmpeg input: no memory");
  io_.reset(avio_alloc_context(buffer, kIoBufferBytes, 0, this, read_bytes, nullptr, seek_bytes));
  if (!io_) {
    av_free(buffer);
    throw Error(ErrorCode::kResourceExhausted, "FFmpeg input: no memory");
  }
  AVFormatContext* format = avformat_alloc_context();
  check(format != nullptr, ErrorCode::kResourceExhausted, "FFmpeg demuxer: no memory");
  format->pb = io_.get();
  format->opaque = &warnings_;
  format->io_open = refuse_to_open;
  format->interrupt_callback = {interrupted, this};
  format->max_streams = kMostStreams;
  format->format_whitelist = av_strdup(kFormats);
  format->protocol_whitelist = av_strdup("none");
  const int opened = avformat_open_input(&format, nullptr, nullptr, nullptr);
  check_cancelled();
  if (opened < 0) {  // FFmpeg has freed the context
    const std::string why = warnings_.first();
    throw Error(ErrorCode::kInvalidArgument,
                input_.name() + ": expected a video, picture or sound file, got " +
                    std::to_string(input_.size()) + " bytes that cannot be read as one (" +
                    (why.empty() ? av_text(opened) : why) + ")");
  }
  format_.reset(format);
  ProbeOptions options(format_->nb_streams, padded_pixels(limits_.max_picture_pixels));
  const int probed = avformat_find_stream_info(format_.get(), options.data());
  check_cancelled();
  if (probed < 0) warnings_.add("its streams are not fully described: " + av_text(probed));
}

int Demuxer::read_bytes(void* self, uint8_t* into, int count) {
  auto& demuxer = *static_cast<Demuxer*>(self);
  if (Cancellation::current().requested()) return AVERROR_EXIT;
  const int64_t got = demuxer.input_.read_at(demuxer.offset_, into, count);
  if (got < 0) return AVERROR(EIO);
  if (got == 0) return AVERROR_EOF;
  demuxer.offset_ += got;
  return static_cast<int>(got);
}

int64_t Demuxer::seek_bytes(void* self, int64_t offset, int whence) {
  auto& demuxer = *static_cast<Demuxer*>(self);
  const int64_t size = demuxer.input_.size();
  switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
      return size;
    case SEEK_SET:
      break;
    case SEEK_CUR:
      if (__builtin_add_overflow(offset, demuxer.offset_, &offset)) return AVERROR(EINVAL);
      break;
    case SEEK_END:
      if (__builtin_add_overflow(offset, size, &offset)) return AVERROR(EINVAL);
      break;
    default:
      return AVERROR(EINVAL);
  }
  if (offset < 0) return AVERROR(EINVAL);
  demuxer.offset_ = offset;
  return offset;
}

int Demuxer::interrupted(void*) { return Cancellation::current().requested() ? 1 : 0; }

std::optional<int> Demuxer::best_stream(AVMediaType type) const {
  const int best = av_find_best_stream(format_.get(), type, -1, -1, nullptr, 0);
  if (best < 0) return std::nullopt;
  if (!is_cover(best)) return best;
  for (int i = 0; i < stream_count(); ++i) {
    if (stream(i).codecpar->codec_type == type && !is_cover(i)) return i;
  }
  return best;
}

bool Demuxer::is_cover(int index) const {
  return (stream(index).disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
}

Orientation Demuxer::orientation(int index) const {
  size_t bytes = 0;
  const uint8_t* matrix =
      av_stream_get_side_data(&stream(index), AV_PKT_DATA_DISPLAYMATRIX, &bytes);
  if (matrix == nullptr || bytes < 9 * sizeof(int32_t)) return 1;
  return orientation_of_matrix(reinterpret_cast<const int32_t*>(matrix));
}

std::optional<double> Demuxer::duration_seconds() const {
  if (format_->duration == AV_NOPTS_VALUE || format_->duration <= 0 ||
      format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) {
    return std::nullopt;
  }
  return static_cast<double>(format_->duration) / AV_TIME_BASE;
}

void Demuxer::select(int index) {
  for (int i = 0; i < stream_count(); ++i) {
    format_->streams[i]->discard = i == index ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
}

bool Demuxer::read(AVPacket& packet) {
  for (int errors = 0; errors < kMostReadErrors;) {
    check_cancelled();
    av_packet_unref(&packet);
    const int code = av_read_frame(format_.get(), &packet);
    if (code == AVERROR_EOF) return false;
    if (code < 0) {
      check_cancelled();
      warnings_.add("a part cannot be read: " + av_text(code));
      if (code != AVERROR(EAGAIN) && code != AVERROR_INVALIDDATA) return false;
      ++errors;
      continue;
    }
    if (stream(packet.stream_index).discard < AVDISCARD_ALL) return true;
  }
  return false;
}

bool Demuxer::duration_is_exact() const {
  if (format_->duration_estimation_method != AVFMT_DURATION_FROM_STREAM) return false;
  // Some writers of Matroska count from zero, some from the first picture.
  const bool from_zero = format_->start_time == AV_NOPTS_VALUE || format_->start_time == 0;
  return from_zero || format_name().find("matroska") == std::string::npos;
}

bool Demuxer::seeks_exactly() const {
  const std::string name = format_name();
  return std::any_of(std::begin(kExactSeekers), std::end(kExactSeekers),
                     [&](std::string_view one) { return name.starts_with(one); });
}

bool Demuxer::seek(int index, int64_t ticks) {
  const int code = avformat_seek_file(format_.get(), index, INT64_MIN, ticks, ticks, 0);
  check_cancelled();
  return code >= 0;
}

std::optional<int64_t> Demuxer::indexed_key(int index, int64_t ticks) const {
  AVStream* stream = format_->streams[index];
  const int count = avformat_index_get_entries_count(stream);
  if (count == 0) return std::nullopt;
  const AVIndexEntry* last = avformat_index_get_entry(stream, count - 1);
  if (last == nullptr || last->timestamp < ticks) return std::nullopt;
  const AVIndexEntry* key =
      avformat_index_get_entry_from_timestamp(stream, ticks, AVSEEK_FLAG_BACKWARD);
  if (key == nullptr) return std::nullopt;
  return key->timestamp;
}

}  // namespace lv
