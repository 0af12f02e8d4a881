#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/base/json.h"

namespace lv::audio {

/// What the ids of a Whisper model mean. Ids below `end` are text; special tokens follow; the
/// timestamps come last, 20 ms apart, and need not be in the tokenizer's file. Immutable.
class Vocabulary {
 public:
  static constexpr double kSecondsPerTimestamp = 0.02;

  /// `tokenizer` is a tokenizer.json of byte-level pieces; `size` is the model's count of ids.
  /// Throws kInvalidArgument that names the special token that is missing.
  Vocabulary(const Json& tokenizer, int64_t size);

  int64_t size() const { return size_; }
  int64_t end() const { return end_; }
  int64_t start() const { return start_; }
  int64_t previous() const { return previous_; }      // what follows is earlier text
  int64_t transcribe() const { return transcribe_; }  // the task
  int64_t no_speech() const { return no_speech_; }
  int64_t no_timestamps() const { return no_timestamps_; }
  int64_t first_timestamp() const { return no_timestamps_ + 1; }

  bool is_text(int64_t id) const { return id < end_; }
  bool is_timestamp(int64_t id) const { return id >= first_timestamp(); }
  /// Seconds from the window's start.
  double seconds(int64_t timestamp) const {
    return static_cast<double>(timestamp - first_timestamp()) * kSecondsPerTimestamp;
  }

  /// Codes and ids of the languages, by id. English-only models have their tokens, but never
  /// learned them.
  const std::vector<std::pair<std::string, int64_t>>& languages() const { return languages_; }
  bool multilingual() const { return multilingual_; }

  /// Special tokens that are never said: tasks, starts and no-speech.
  const std::vector<int64_t>& unspeakable() const { return unspeakable_; }

  /// The text of the ids that are text; the others are passed over. Bytes that are no UTF-8 become
  /// U+FFFD.
  std::string text(std::span<const int64_t> ids) const;

 private:
  std::vector<std::string> bytes_;  // [end_], of each text token
  int64_t size_ = 0;
  int64_t end_ = 0, start_ = 0, previous_ = 0, transcribe_ = 0, no_speech_ = 0, no_timestamps_ = 0;
  bool multilingual_ = false;
  std::vector<std::pair<std::string, int64_t>> languages_;
  std::vector<int64_t> unspeakable_;
};

/// `text` with each maximal run of bytes that starts no valid UTF-8 character replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// `text` without the white space of ASCII at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace lv::audio
