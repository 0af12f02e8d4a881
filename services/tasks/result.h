#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/audio.h"
#include "pipeline/types/media.h"
#include "pipeline/types/visual_tokens.h"
#include "services/tasks/evidence.h"
#include "vision/read/text_reader.h"

namespace lv::services {

/// A file that a task looked at.
struct SourceReport {
  std::string path;
  MediaInfo media;
  int32_t pages = 0;  // of a document; its width and height are those of page 1, in points
};

/// A picture that was looked at.
struct SampledFrame {
  int32_t source = 0;
  double pts_seconds = 0;
};

/// What the film shows on [start, end).
struct Segment {
  double start_seconds = 0;
  double end_seconds = 0;
  std::string text;
};

/// What endangers the car.
struct Risk {
  std::string level;        // low | medium | high
  std::string object = {};  // empty if nothing does
  std::string view = {};    // the camera that shows it, as the request names it
  std::optional<double> start_seconds = {}, end_seconds = {};
  std::string reason = {}, advice = {};
  std::optional<std::array<float, 4>> box = {};  // of what the answer rests on, in a view of its
                                                 // own: fractions of the picture
  std::optional<double> confidence = {};         // in that, 0 to 1
};

struct TokenCounts {
  int64_t prompt = 0;  // all that the language model read, visual tokens included
  int64_t visual_in = 0;
  int64_t visual_out = 0;
  int64_t cached = 0;
  int64_t generated = 0;
};

/// Milliseconds spent inside each stage. Recognising text in pictures counts as encode, reading
/// documents as decode, which otherwise is what encoding waited for. Loading a model is not part of
/// the total.
struct StageTimes {
  double load = 0;
  double decode = 0;
  double listen = 0;
  double encode = 0;
  double compress = 0;
  double generate = 0;
  double total = 0;
};

/// What a task answers, with everything that a user needs to trust it.
struct TaskResult {
  std::string task;  // caption | ask | transcribe | risk
  std::string model;
  std::string text;
  std::vector<SourceReport> sources;
  std::vector<Segment> segments;
  std::vector<SpeechSegment> transcript;
  std::string language;
  AudioUse audio = AudioUse::kDisabled;
  std::vector<vision::ScreenText> screen_text;
  std::vector<Evidence> evidence;
  std::optional<Risk> risk;
  std::vector<SampledFrame> sampling;
  std::vector<CompressionReport> compression;
  TokenCounts tokens;
  StageTimes times;
  int64_t peak_memory_bytes = 0;  // of the process that ran the task
  std::vector<std::string> warnings;
};

/// "used", "absent", "undecodable" or "disabled".
std::string_view name_of(AudioUse use);
/// "time", "page", "box" or "quote".
std::string_view name_of(EvidenceKind kind);
/// "video", "picture", "audio", "document" or "unknown".
std::string_view name_of(MediaKind kind);

/// The object that `--json` prints. Fields that do not apply to the task are left out.
Json to_json(const TaskResult& result);

/// Largest resident memory of this process so far.
int64_t peak_memory_bytes();

}  // namespace lv::services
