#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lv::llm {

/// SentencePiece's table of what becomes of characters: strings of bytes, found by walking a
/// double array, and their replacements. Immutable, thread-safe.
class Charsmap {
 public:
  struct Match {
    size_t length = 0;  // bytes of the text
    std::string_view replacement;
  };

  /// From the bytes that models hold: the array's size in bytes (uint32), the array (uint32 each),
  /// replacements that end in a zero byte. Little-endian. Throws kInvalidArgument if the sizes do
  /// not fit or the replacements are no UTF-8.
  explicit Charsmap(std::string_view bytes);

  /// The entries that the text begins with; nullopt if there are none.
  std::optional<Match> shortest(std::string_view text) const { return find(text, false); }
  std::optional<Match> longest(std::string_view text) const { return find(text, true); }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;
  std::string_view replacement_at(uint32_t offset) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace lv::llm
