#include "audio/transcribe/subtitles.h"

#include <catch2/catch.hpp>

namespace lv::audio {
namespace {

const std::vector<SpeechSegment> kSpeech = {{0, 1.5, "Tom & Jerry"},
                                            {3599.9996, 3661.25, "a < b\n\nc"}};

}  // namespace

TEST_CASE("text joins the segments") {
  CHECK(to_text(kSpeech) == "Tom & Jerry a < b\n\nc");
  CHECK(to_text({}).empty());
}

TEST_CASE("SubRip numbers its blocks") {
  CHECK(to_srt(kSpeech) ==
        "1\n00:00:00,000 --> 00:00:01,500\nTom & Jerry\n\n"
        "2\n01:00:00,000 --> 01:01:01,250\na < b  c\n\n");
  CHECK(to_srt({}).empty());
}

TEST_CASE("WebVTT escapes markup") {
  CHECK(to_vtt(kSpeech) ==
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nTom &amp; Jerry\n\n"
        "01:00:00.000 --> 01:01:01.250\na &lt; b  c\n\n");
  CHECK(to_vtt({}) == "WEBVTT\n\n");
}

TEST_CASE("times stay within what the formats can write") {
  CHECK(to_srt(std::vector<SpeechSegment>{{-1, 1e9, "x"}}) ==
        "1\n00:00:00,000 --> 99:59:59,999\nx\n\n");
}

}  // namespace lv::audio
