#pragma once

#include <cstdint>
#include <string>

#include "audio/transcribe/vocabulary.h"
#include "pipeline/base/json.h"

namespace lv::audio {

// A vocabulary of 4 text ids ("a", " b", and the two bytes of "é"), special tokens from 4 on, and
// timestamps from 15 to the end.
inline const char* small_tokenizer() {
  return R"({
    "model": {"vocab": {"a": 0, "Ġb": 1, "Ã": 2, "©": 3}},
    "added_tokens": [
      {"id": 4, "content": "<|endoftext|>"}, {"id": 5, "content": "<|startoftranscript|>"},
      {"id": 6, "content": "<|en|>"}, {"id": 7, "content": "<|haw|>"},
      {"id": 8, "content": "<|translate|>"}, {"id": 9, "content": "<|transcribe|>"},
      {"id": 10, "content": "<|startoflm|>"}, {"id": 11, "content": "<|startofprev|>"},
      {"id": 12, "content": "<|nospeech|>"}, {"id": 14, "content": "<|notimestamps|>"}]})";
}

inline Vocabulary small_vocabulary(int64_t size = 115) {
  return Vocabulary(parse_json(small_tokenizer(), "tokenizer.json"), size);
}

// The timestamp id of small_vocabulary() at this many hundredths of a second.
constexpr int64_t at_time(int64_t hundredths) { return 15 + hundredths / 2; }

}  // namespace lv::audio
