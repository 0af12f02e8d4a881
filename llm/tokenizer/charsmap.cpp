#include "llm/tokenizer/charsmap.h"

#include <cstring>

#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

// A unit of the double array: a label, where its children are, and whether it ends an entry; or, of
// the node behind an end, the entry's value.
uint32_t label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }
bool ends_entry(uint32_t unit) { return (unit & 0x100) != 0; }
uint32_t value(uint32_t unit) { return unit & 0x7FFFFFFF; }

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
  uint32_t size = 0;
  check(bytes.size() >= sizeof size, ErrorCode::kInvalidArgument,
        "charsmap: expected at least 4 bytes, got " + std::to_string(bytes.size()));
  std::memcpy(&size, bytes.data(), sizeof size);
  bytes.remove_prefix(sizeof size);
  check(size > 0 && size % sizeof(uint32_t) == 0 && size <= bytes.size(),
        ErrorCode::kInvalidArgument,
        "charsmap: expected an array of at most " + std::to_string(bytes.size()) +
            " bytes, got one of " + std::to_string(size));
  units_.resize(size / sizeof(uint32_t));
  std::memcpy(units_.data(), bytes.data(), size);
  replacements_ = bytes.substr(size);
  check(valid_utf8(replacements_) == replacements_, ErrorCode::kInvalidArgument,
        "charsmap: expected replacements in UTF-8, got other bytes");
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Match> best;
  size_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!ends_entry(unit) || node >= units_.size()) continue;
    if (i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80)
      continue;  // it would cut a character
    best = Match{i + 1, replacement_at(value(units_[node]))};
    if (!longest) break;
  }
  return best;
}

std::string_view Charsmap::replacement_at(uint32_t offset) const {
  if (offset >= replacements_.size()) return {};
  // A place within a character would give bytes that are no text.
  if ((static_cast<unsigned char>(replacements_[offset]) & 0xC0) == 0x80) return {};
  const std::string_view rest = std::string_view(replacements_).substr(offset);
  return rest.substr(0, rest.find('\0'));
}

}  // namespace lv::llm
