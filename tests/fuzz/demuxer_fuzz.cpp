#include <c10/core/InferenceMode.h>

#include <cstddef>
#include <cstdint>

#include "audio/decode/decode.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "vision/decode/decode.h"

// Any bytes as a file: read as pictures and as sound. Only lv::Error may come out.

namespace {

template <class Stage>
void read_all(const Stage& stage, const lv::MediaRequest& request) {
  try {
    const auto source = stage->start(lv::source_of_one(request));
    while (const auto value = source->next()) lv::validate(*value);
  } catch (const lv::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto pictures = lv::vision::make_video_decode(2);
  static const auto sound = lv::audio::make_audio_decode(1);
  c10::InferenceMode no_autograd;
  lv::MediaRequest request;
  request.media = std::make_shared<const std::string>(reinterpret_cast<const char*>(data), size);
  request.limits.max_frames = 16;
  request.limits.max_picture_pixels = 1 << 20;
  request.limits.max_total_pixels = 1 << 22;
  request.limits.max_seconds = 10;
  const lv::SamplingRule rules[] = {lv::UniformFrames{4}, lv::KeyFrames{}, lv::SceneChanges{0.3}};
  request.sampling.rule = rules[size % 3];
  read_all(pictures, request);
  read_all(sound, request);
  return 0;
}
