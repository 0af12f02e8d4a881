#include "pipeline/base/byte_level.h"

#include <catch2/catch.hpp>
#include <set>

using namespace lv;

TEST_CASE("byte level: known characters", "[byte_level]") {
  CHECK(byte_level_character('a') == "a");
  CHECK(byte_level_character(' ') == "\u0120");
  CHECK(byte_level_character('\n') == "\u010A");
  CHECK(byte_level_character(0) == "\u0100");
  CHECK(byte_level_character(0x7F) == "\u0121");
  CHECK(byte_level_character(0xA0) == "\u0142");
  CHECK(byte_level_character(0xAD) == "\u0143");
  CHECK(byte_level_character(0xFF) == "\u00FF");
  CHECK(byte_level_encode(" hi\n") == "\u0120hi\u010A");
  CHECK(byte_level_encode("\u00E9") == "\u00C3\u00A9");
  CHECK(byte_level_encode("").empty());
}

TEST_CASE("byte level: every byte comes back, and no two share a character", "[byte_level]") {
  std::string all;
  std::set<std::string_view> seen;
  for (int b = 0; b < 256; ++b) {
    all += static_cast<char>(b);
    seen.insert(byte_level_character(static_cast<unsigned char>(b)));
  }
  CHECK(seen.size() == 256);
  CHECK(byte_level_decode(byte_level_encode(all)) == all);
}

TEST_CASE("byte level: text outside of the alphabet is refused", "[byte_level]") {
  const auto refused = GENERATE(as<std::string>(), " ", "\n", "\u0144", "\u00AD", "\u2581", "a\xC4",
                                "\xC4\x20", "\x80", "\xC1\x81", "\xFF");
  CHECK(byte_level_decode(refused) == std::nullopt);
}
