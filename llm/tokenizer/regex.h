#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lv::llm {

/// A regular expression as tokenizer files write them: Oniguruma's dialect, of which what the
/// files use is understood. Immutable, thread-safe.
class Regex {
 public:
  /// Throws kInvalidArgument with the position if the pattern is wrong, kUnimplemented on a set
  /// operation that is not understood.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// [begin, end) of all matches in valid UTF-8, in order, without overlap. A match that is empty
  /// and touches the one before is skipped. Throws kResourceExhausted if a match takes too long.
  std::vector<std::pair<size_t, size_t>> find_all(std::string_view text) const;

 private:
  struct Program;
  std::unique_ptr<const Program> program_;
};

/// The pattern in PCRE2's dialect, with the characters of `unicode_additions` in its classes.
std::string to_pcre2(std::string_view pattern);

}  // namespace lv::llm
