#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lv {

// GPT-2's alphabet: each byte is written as one printable character, so that a vocabulary of bytes
// is readable text. Printable ASCII and Latin-1 stand for themselves, the other 68 bytes for
// U+0100 .. U+0143 in order; a space is U+0120.
// Reference: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.

/// The character that stands for `byte`, in UTF-8.
std::string_view byte_level_character(unsigned char byte);

/// Every byte of `bytes` as its character, in UTF-8.
std::string byte_level_encode(std::string_view bytes);

/// The bytes that `text` stands for; nullopt if a character is outside of the alphabet or the text
/// is no UTF-8.
std::optional<std::string> byte_level_decode(std::string_view text);

}  // namespace lv
