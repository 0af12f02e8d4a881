#include "llm/generate/stop_filter.h"

#include <catch2/catch.hpp>

namespace lv::llm {

TEST_CASE("stop filter passes text through when there is nothing to stop at") {
  StopFilter filter({""});
  CHECK(filter.push("abc") == "abc");
  CHECK(filter.finish().empty());
  CHECK_FALSE(filter.stopped());
}

TEST_CASE("stop filter cuts at the first stop word, even across pieces") {
  StopFilter filter({"END", "stop"});
  CHECK(filter.push("one E") == "one ");
  CHECK(filter.push("N") == "");
  CHECK(filter.push("T EN") == "ENT ");
  CHECK(filter.push("D stop") == "");
  CHECK(filter.stopped());
  CHECK(filter.push("more") == "");
}

TEST_CASE("stop filter gives back what it held when the text ends") {
  StopFilter filter({"\n\n"});
  CHECK(filter.push("a\n") == "a");
  CHECK(filter.finish() == "\n");
}

TEST_CASE("stop filter takes the earliest of several words in one piece") {
  StopFilter filter({"cd", "bc"});
  CHECK(filter.push("abcd") == "a");
  CHECK(filter.stopped());
}

TEST_CASE("stop filter never hands out half a character") {
  StopFilter filter({"\xA9x"});  // begins with the second byte of é
  CHECK(filter.push("caf\xC3\xA9") == "caf");
  CHECK(filter.push("s") == "\xC3\xA9s");
}

}  // namespace lv::llm
