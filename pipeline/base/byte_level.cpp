#include "pipeline/base/byte_level.h"

#include <array>

namespace lv {
namespace {

constexpr size_t kAlphabet = 256 + 68;  // every character lies below this code point

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::string, 256> character;
  std::array<int, kAlphabet> byte;  // by code point; -1 outside of the alphabet

  Alphabet() {
    byte.fill(-1);
    int next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const int point = stands_for_itself(b) ? b : next++;
      byte[static_cast<size_t>(point)] = b;
      std::string& text = character[static_cast<size_t>(b)];
      if (point < 0x80) {
        text = {static_cast<char>(point)};
      } else {
        text = {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 0x3F))};
      }
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet table;
  return table;
}

}  // namespace

std::string_view byte_level_character(unsigned char byte) { return alphabet().character[byte]; }

std::string byte_level_encode(std::string_view bytes) {
  const Alphabet& table = alphabet();
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) text += table.character[static_cast<unsigned char>(c)];
  return text;
}

std::optional<std::string> byte_level_decode(std::string_view text) {
  const Alphabet& table = alphabet();
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    size_t point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {
      if (point < 0xC2 || point > 0xDF || ++i == text.size()) return std::nullopt;
      const auto low = static_cast<unsigned char>(text[i]);
      if ((low & 0xC0) != 0x80) return std::nullopt;
      point = (point & 0x1F) << 6 | (low & 0x3F);
    }
    if (point >= kAlphabet || table.byte[point] < 0) return std::nullopt;
    bytes += static_cast<char>(table.byte[point]);
  }
  return bytes;
}

}  // namespace lv
