#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lv {

/// Which pictures of a film to look at. Times are seconds from the container's zero.
struct UsualFrames {};  // as the model that will see them was trained; UniformFrames() if no model
                        // is known
struct UniformFrames {
  int64_t count = 8;
};  // `count` pictures, one in the middle of each equal part
struct FramesPerSecond {
  double rate = 1;
};  // one picture at start + k / rate
struct FramesAt {
  std::vector<double> seconds;
};                    // the picture shown at each of these times
struct KeyFrames {};  // every picture that decodes on its own
struct SceneChanges {
  double threshold = 0.3;
};  // the first picture of each scene; [0, 1] of full change
struct PacedFrames {
  double rate = 1;  // pictures a second, as far as their number allows
  int64_t least = 1;
  int64_t most = 64;
  int64_t multiple = 1;     // their number is a multiple of this; above 1 it is rounded down
  bool to_the_end = false;  // whether the last picture is the last of the film
  double skip_seconds = 0;  // left out at both ends of a film longer than `most` / `rate` seconds
};                          // evenly spread; what models that see were trained with
using SamplingRule = std::variant<UniformFrames, UsualFrames, PacedFrames, FramesPerSecond,
                                  FramesAt, KeyFrames, SceneChanges>;

struct Sampling {
  SamplingRule rule;
  double start_seconds = 0;
  std::optional<double> end_seconds;  // exclusive; the end of the film if absent
};

/// Ceilings that win over whatever the sampling asks for. What they cut off is said in a warning.
struct MediaLimits {
  int64_t max_frames = 4096;
  int64_t max_picture_pixels =
      64LL << 20;  // of one picture; larger ones are refused before they are decoded
  int64_t max_total_pixels = 1LL << 33;  // of all pictures handed out
  double max_seconds = 4 * 3600;         // of film or sound that is read
  int64_t max_bytes = 8LL << 30;         // of the file
  int64_t max_pages = 1000;              // of a document that are read
  int64_t max_text_bytes = 8LL << 20;    // of a document's text that are read
};

/// A file to read, by path or as bytes in memory, and what is wanted of it.
struct MediaRequest {
  std::variant<std::string, std::shared_ptr<const std::string>> media;  // path, or the file's bytes
  std::string name;  // for messages; the path if empty
  std::string view;  // the camera of a rig that took it; empty if there is none
  Sampling sampling;
  MediaLimits limits;
};

enum class MediaKind { kUnknown, kVideo, kPicture, kAudio, kDocument };

/// What a container says about itself. Absent where it does not say.
struct MediaInfo {
  MediaKind kind = MediaKind::kUnknown;
  double duration_seconds = 0;  // 0 for pictures
  int32_t width = 0;            // as shown: after rotation
  int32_t height = 0;
};

}  // namespace lv
