#include <algorithm>
#include <string>

#include "longview/v1/media.pb.h"
#include "services/codec/codec.h"
#include "services/codec/fields.h"

namespace lv::services {
namespace {

constexpr int64_t kMaxTimes = 1 << 20;

struct WriteRule {
  v1::Sampling* message;
  void operator()(const UniformFrames& rule) { message->mutable_uniform()->set_count(rule.count); }
  void operator()(const UsualFrames&) {}
  void operator()(const PacedFrames& rule) {
    v1::PacedFrames& paced = *message->mutable_paced();
    paced.set_rate(rule.rate);
    paced.set_least(rule.least);
    paced.set_most(rule.most);
    paced.set_multiple(rule.multiple);
    paced.set_to_the_end(rule.to_the_end);
    paced.set_skip_seconds(rule.skip_seconds);
  }
  void operator()(const FramesPerSecond& rule) {
    message->mutable_per_second()->set_rate(rule.rate);
  }
  void operator()(const FramesAt& rule) {
    message->mutable_at()->mutable_seconds()->Assign(rule.seconds.begin(), rule.seconds.end());
  }
  void operator()(const KeyFrames&) { message->mutable_key_frames(); }
  void operator()(const SceneChanges& rule) {
    message->mutable_scene_changes()->set_threshold(rule.threshold);
  }
};

PacedFrames paced_of(const v1::PacedFrames& message) {
  const PacedFrames rule{message.rate(),     message.least(),      message.most(),
                         message.multiple(), message.to_the_end(), message.skip_seconds()};
  check_number(rule.rate, "sampling.paced.rate", 1e-9);
  const auto most = static_cast<double>(kMaxTimes);
  check_number(static_cast<double>(rule.most), "sampling.paced.most", 1, most);
  check_number(static_cast<double>(rule.least), "sampling.paced.least", 1,
               static_cast<double>(rule.most));
  check_number(static_cast<double>(rule.multiple), "sampling.paced.multiple", 1,
               static_cast<double>(rule.most));
  check_number(rule.skip_seconds, "sampling.paced.skip_seconds");
  return rule;
}

SamplingRule rule_of(const v1::Sampling& message) {
  switch (message.rule_case()) {
    case v1::Sampling::kUniform:
      check_number(static_cast<double>(message.uniform().count()), "sampling.uniform.count", 1);
      return UniformFrames{message.uniform().count()};
    case v1::Sampling::kPerSecond:
      check_number(message.per_second().rate(), "sampling.per_second.rate", 1e-9);
      return FramesPerSecond{message.per_second().rate()};
    case v1::Sampling::kAt: {
      const auto& seconds = message.at().seconds();
      check_number(seconds.size(), "sampling.at: count of times", 1, kMaxTimes);
      for (const double time : seconds) check_number(time, "sampling.at.seconds");
      return FramesAt{{seconds.begin(), seconds.end()}};
    }
    case v1::Sampling::kKeyFrames:
      return KeyFrames{};
    case v1::Sampling::kSceneChanges:
      check_number(message.scene_changes().threshold(), "sampling.scene_changes.threshold", 0, 1);
      return SceneChanges{message.scene_changes().threshold()};
    case v1::Sampling::kPaced:
      return paced_of(message.paced());
    case v1::Sampling::RULE_NOT_SET:
      break;
  }
  return UsualFrames{};
}

template <class T>
T at_most(T asked, T ceiling, const char* name) {
  check_number(static_cast<double>(asked), name);
  return std::min(asked, ceiling);
}

}  // namespace

void to_proto(const Sampling& sampling, v1::Sampling* message) {
  message->Clear();
  std::visit(WriteRule{message}, sampling.rule);
  message->set_start_seconds(sampling.start_seconds);
  if (sampling.end_seconds) message->set_end_seconds(*sampling.end_seconds);
}

Sampling from_proto(const v1::Sampling& message) {
  Sampling sampling;
  sampling.rule = rule_of(message);
  sampling.start_seconds = message.start_seconds();
  check_number(sampling.start_seconds, "sampling.start_seconds");
  if (message.has_end_seconds()) {
    sampling.end_seconds = message.end_seconds();
    check_number(*sampling.end_seconds, "sampling.end_seconds", sampling.start_seconds);
  }
  return sampling;
}

void to_proto(const MediaLimits& limits, v1::MediaLimits* message) {
  message->set_max_frames(limits.max_frames);
  message->set_max_picture_pixels(limits.max_picture_pixels);
  message->set_max_total_pixels(limits.max_total_pixels);
  message->set_max_seconds(limits.max_seconds);
  message->set_max_bytes(limits.max_bytes);
  message->set_max_pages(limits.max_pages);
  message->set_max_text_bytes(limits.max_text_bytes);
}

MediaLimits from_proto(const v1::MediaLimits& message, const MediaLimits& ceilings) {
  MediaLimits limits = ceilings;
  if (message.has_max_frames()) {
    limits.max_frames = at_most(message.max_frames(), limits.max_frames, "limits.max_frames");
  }
  if (message.has_max_picture_pixels()) {
    limits.max_picture_pixels = at_most(message.max_picture_pixels(), limits.max_picture_pixels,
                                        "limits.max_picture_pixels");
  }
  if (message.has_max_total_pixels()) {
    limits.max_total_pixels =
        at_most(message.max_total_pixels(), limits.max_total_pixels, "limits.max_total_pixels");
  }
  if (message.has_max_seconds()) {
    limits.max_seconds = at_most(message.max_seconds(), limits.max_seconds, "limits.max_seconds");
  }
  if (message.has_max_bytes()) {
    limits.max_bytes = at_most(message.max_bytes(), limits.max_bytes, "limits.max_bytes");
  }
  if (message.has_max_pages()) {
    limits.max_pages = at_most(message.max_pages(), limits.max_pages, "limits.max_pages");
  }
  if (message.has_max_text_bytes()) {
    limits.max_text_bytes =
        at_most(message.max_text_bytes(), limits.max_text_bytes, "limits.max_text_bytes");
  }
  return limits;
}

void to_proto(const MediaInfo& media, v1::MediaInfo* message) {
  switch (media.kind) {
    case MediaKind::kUnknown:
      message->set_kind(v1::MEDIA_KIND_UNSPECIFIED);
      break;
    case MediaKind::kVideo:
      message->set_kind(v1::MEDIA_KIND_VIDEO);
      break;
    case MediaKind::kPicture:
      message->set_kind(v1::MEDIA_KIND_PICTURE);
      break;
    case MediaKind::kAudio:
      message->set_kind(v1::MEDIA_KIND_AUDIO);
      break;
    case MediaKind::kDocument:
      message->set_kind(v1::MEDIA_KIND_DOCUMENT);
      break;
  }
  message->set_duration_seconds(media.duration_seconds);
  message->set_width(media.width);
  message->set_height(media.height);
}

MediaInfo from_proto(const v1::MediaInfo& message) {
  MediaInfo media;
  switch (message.kind()) {
    case v1::MEDIA_KIND_VIDEO:
      media.kind = MediaKind::kVideo;
      break;
    case v1::MEDIA_KIND_PICTURE:
      media.kind = MediaKind::kPicture;
      break;
    case v1::MEDIA_KIND_AUDIO:
      media.kind = MediaKind::kAudio;
      break;
    case v1::MEDIA_KIND_DOCUMENT:
      media.kind = MediaKind::kDocument;
      break;
    default:  // unspecified, or newer than we are
      break;
  }
  media.duration_seconds = message.duration_seconds();
  media.width = message.width();
  media.height = message.height();
  check_number(media.duration_seconds, "media.duration_seconds");
  check_number(media.width, "media.width");
  check_number(media.height, "media.height");
  return media;
}

}  // namespace lv::services
