#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lv::llm {

/// The text with each maximal sequence of bytes that is no UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view bytes);

/// Bytes of the character that starts at text[i]; 0 if the bytes there are no UTF-8. `incomplete`
/// tells whether more bytes could still make it a character.
size_t utf8_length(std::string_view text, size_t i, bool* incomplete = nullptr);

/// The character at text[i], which must be valid UTF-8; moves i behind it.
char32_t next_character(std::string_view text, size_t& i);
void append_utf8(std::string& text, char32_t character);

/// The ends of the extended grapheme clusters: what a reader takes for one character. The text must
/// be valid UTF-8.
std::vector<size_t> grapheme_ends(std::string_view text);

/// Unicode's White_Space.
bool is_white_space(char32_t c);
/// General category N.
bool is_numeric(char32_t c);
/// General category P, or a symbol of ASCII.
bool is_punctuation(char32_t c);
/// What \w is in regular expressions: letters, marks, numbers, connectors.
bool is_word(char32_t c);

/// Without regard to context or language, one character at a time.
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// The normal form, for characters of Unicode 9: what the tokenizers library that trained the
/// vocabularies knows. Later characters stay as they are.
std::string normal_form(std::string_view text, NormalForm form);

/// Whether the normal form of x + y is that of x followed by that of y if y starts with `c`.
bool starts_anew(char32_t c, NormalForm form);

/// Characters that became part of a general category after Unicode 14.
struct UnicodeAddition {
  char32_t first, last;
  char category[2];  // e.g. 'L', 'u'
};
std::span<const UnicodeAddition> unicode_additions();

}  // namespace lv::llm
