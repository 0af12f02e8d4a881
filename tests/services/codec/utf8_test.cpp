#include "services/codec/utf8.h"

#include <catch2/catch.hpp>

namespace lv::services {
namespace {

const std::string kBad = "\xEF\xBF\xBD";

TEST_CASE("valid UTF-8 is kept as it is") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF";
  CHECK(valid_utf8(text) == text);
  CHECK(valid_utf8("").empty());
}

TEST_CASE("bytes that are no UTF-8 are replaced one by one") {
  CHECK(valid_utf8("\xC0\x80") == kBad + kBad);                        // overlong
  CHECK(valid_utf8("\xE0\x80\x80") == kBad + kBad + kBad);             // overlong
  CHECK(valid_utf8("\xED\xA0\x80") == kBad + kBad + kBad);             // a surrogate
  CHECK(valid_utf8("\xF4\x90\x80\x80") == kBad + kBad + kBad + kBad);  // beyond U+10FFFF
  CHECK(valid_utf8("x\xE2\x82") == "x" + kBad + kBad);                 // cut off
  CHECK(valid_utf8("\xFFz") == kBad + "z");
}

}  // namespace
}  // namespace lv::services
