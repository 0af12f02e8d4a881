#include "audio/transcribe/vocabulary.h"

#include <algorithm>
#include <map>

#include "pipeline/base/byte_level.h"
#include "pipeline/base/error.h"

namespace lv::audio {
namespace {

constexpr int64_t kMultilingualSize = 51865;  // English-only models have one id less

using SpecialTokens = std::map<std::string, int64_t, std::less<>>;

SpecialTokens special_tokens(const Json& tokenizer, int64_t size) {
  SpecialTokens specials;
  for (const Json& token : tokenizer.at("added_tokens").as_array()) {
    const int64_t id = token.at("id").as_int();
    check(id >= 0 && id < size, ErrorCode::kInvalidArgument,
          "tokenizer.json: added_tokens: expected ids below " + std::to_string(size) + ", got " +
              std::to_string(id));
    specials.emplace(token.at("content").as_string(), id);
  }
  return specials;
}

int64_t required(const SpecialTokens& specials, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto it = specials.find(name); it != specials.end()) return it->second;
  }
  throw Error(ErrorCode::kInvalidArgument, "tokenizer.json: expected the special token " +
                                               std::string(*names.begin()) + ", got none");
}

/// Bytes of a valid character at the start of `text`, or 0.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool too_large = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || too_large ? 0 : length;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  bool broken = false;
  while (!text.empty()) {
    const size_t length = character_bytes(text);
    if (length == 0 && !broken) out += "\uFFFD";
    broken = length == 0;
    out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Vocabulary::Vocabulary(const Json& tokenizer, int64_t size) : size_(size) {
  const SpecialTokens specials = special_tokens(tokenizer, size);
  end_ = required(specials, {"<|endoftext|>"});
  start_ = required(specials, {"<|startoftranscript|>"});
  previous_ = required(specials, {"<|startofprev|>"});
  transcribe_ = required(specials, {"<|transcribe|>"});
  no_timestamps_ = required(specials, {"<|notimestamps|>"});
  no_speech_ = required(specials, {"<|nospeech|>", "<|nocaptions|>"});
  const int64_t translate = required(specials, {"<|translate|>"});
  const int64_t start_of_lm = required(specials, {"<|startoflm|>"});
  unspeakable_ = {start_, translate, transcribe_, start_of_lm, previous_, no_speech_};
  check(end_ < no_timestamps_ && first_timestamp() < size, ErrorCode::kInvalidArgument,
        "tokenizer.json: expected text, special tokens and timestamps in this order below " +
            std::to_string(size));
  multilingual_ = size >= kMultilingualSize;
  for (const auto& [name, id] : specials) {
    if (id > start_ && id < std::min(translate, transcribe_) && name.size() > 4) {
      languages_.emplace_back(name.substr(2, name.size() - 4), id);  // <|en|>
    }
  }
  std::sort(languages_.begin(), languages_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });

  bytes_.resize(static_cast<size_t>(end_));
  for (const auto& [piece, id] : tokenizer.at("model").at("vocab").as_object()) {
    const int64_t index = id.as_int();
    if (index < 0 || index >= end_) continue;  // a special token again
    const auto bytes = byte_level_decode(piece);
    check(bytes.has_value(), ErrorCode::kInvalidArgument,
          "tokenizer.json: model.vocab: expected byte-level pieces, got '" + piece + "'");
    bytes_[static_cast<size_t>(index)] = *bytes;
  }
}

std::string Vocabulary::text(std::span<const int64_t> ids) const {
  std::string bytes;
  for (const int64_t id : ids) {
    if (id >= 0 && is_text(id)) bytes += bytes_[static_cast<size_t>(id)];
  }
  return valid_utf8(bytes);
}

}  // namespace lv::audio
