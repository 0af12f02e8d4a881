#include "audio/transcribe/split_window.h"

#include <catch2/catch.hpp>

#include "tests/audio/transcribe/support.h"

namespace lv::audio {
namespace {

SplitWindow split(std::vector<int64_t> said, double seconds = 2) {
  return split_window(said, small_vocabulary(), seconds);
}

}  // namespace

TEST_CASE("words after the last pair of timestamps wait for the next window") {
  const SplitWindow got =
      split({at_time(0), 0, at_time(60), at_time(70), 1, at_time(120), at_time(120), 0});
  REQUIRE(got.segments.size() == 2);
  CHECK(got.segments[0].ids == std::vector<int64_t>{at_time(0), 0, at_time(60)});
  CHECK(got.segments[0].start_seconds == Approx(0));
  CHECK(got.segments[0].end_seconds == Approx(0.6));
  CHECK(got.segments[1].start_seconds == Approx(0.7));
  CHECK(got.segments[1].end_seconds == Approx(1.2));
  CHECK(got.next_seconds == Approx(1.2));
}

TEST_CASE("a single timestamp at the end says that silence follows") {
  const SplitWindow got = split({at_time(0), 0, at_time(60), at_time(60), 1, at_time(120)});
  REQUIRE(got.segments.size() == 2);
  CHECK(got.segments[1].ids == std::vector<int64_t>{at_time(60), 1, at_time(120)});
  CHECK(got.next_seconds == 2);
}

TEST_CASE("without a pair the window is one segment") {
  CHECK(split({at_time(0), 0, 1, at_time(140)}).segments[0].end_seconds == Approx(1.4));
  CHECK(split({at_time(0), 0, 1}).segments[0].end_seconds == 2);
  CHECK(split({}).segments[0].end_seconds == 2);
  CHECK(split({}).segments[0].ids.empty());
  CHECK(split({at_time(0), 0, 1}).next_seconds == 2);
}

TEST_CASE("the next window starts later than this one, and not after its end") {
  CHECK(split({at_time(0), at_time(0), 0}).next_seconds == 2);
  CHECK(split({at_time(0), 0, at_time(180), at_time(180)}, 0.5).next_seconds == 0.5);
}

}  // namespace lv::audio
