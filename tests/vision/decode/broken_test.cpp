#include <catch2/catch.hpp>
#include <cstdlib>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/pipeline/media/clips.h"
#include "tests/support/close_to.h"
#include "vision/decode/decode.h"

// Files that are broken, hostile or no media at all.

namespace lv {
namespace {

using Catch::Matchers::Contains;

struct Failure {
  ErrorCode code;
  std::string text;
};

Failure failure_of(const MediaRequest& request) {
  try {
    decode(request);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return {error.code(), error.what()};
  }
  FAIL("expected an error");
  return {};
}

std::string big_endian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

/// Decodes what there is. Whatever comes must be in order and one of the real pictures' times.
size_t pictures_or_error(const MediaRequest& request) {
  try {
    return decode(request).indices.size();
  } catch (const Error& error) {
    CHECK(error.code() != ErrorCode::kInternal);
    return 0;
  }
}

}  // namespace

TEST_CASE("what is no media file is refused in one line") {
  CHECK(failure_of(request_of("/no/such/file.mp4")).code == ErrorCode::kNotFound);
  CHECK_THAT(failure_of(request_of("/tmp")).text, Contains("expected a file, got a folder"));
  CHECK_THAT(failure_of(request_of("/dev/zero")).text, Contains("got a device or pipe"));

  const Failure empty = failure_of(request_of(made_of("empty.mp4", "")));
  CHECK(empty.code == ErrorCode::kInvalidArgument);
  CHECK_THAT(empty.text, Contains("empty.mp4: expected a media file, got 0 bytes"));

  const Failure text = failure_of(request_of(made_of("text.mp4", "hello, I am no film\n")));
  CHECK(text.code == ErrorCode::kInvalidArgument);
  CHECK_THAT(text.text, Contains("text.mp4: expected a video, picture or sound file"));

  CHECK(failure_of(request_of_bytes(std::string(5000, '\0'))).code == ErrorCode::kInvalidArgument);
  CHECK_THAT(failure_of(request_of_bytes("%PDF-1.4 ...")).text, Contains("got a document"));
}

TEST_CASE("files that name other files are refused") {
  const std::string target = film("a.mp4");
  const std::string list = GENERATE_COPY(
      "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n" + target + "\n#EXT-X-ENDLIST\n",
      "ffconcat version 1.0\nfile '" + target + "'\n",
      std::string("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>"),
      std::string(
          "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"));
  CHECK(failure_of(request_of_bytes(list)).code == ErrorCode::kInvalidArgument);
}

TEST_CASE("a picture of 60000 x 60000 is refused from its header") {
  const std::string png = "\x89PNG\r\n\x1a\n" + big_endian(13, 4) + "IHDR" + big_endian(60000, 4) +
                          big_endian(60000, 4) + std::string("\x08\x02\0\0\0", 5) +
                          big_endian(0, 4) + big_endian(0, 4) + "IDAT" + big_endian(0, 4);
  const std::string jpeg = "\xff\xd8\xff\xc0" + big_endian(17, 2) + "\x08" + big_endian(60000, 2) +
                           big_endian(60000, 2) + std::string("\3\1\x22\0\2\x11\1\3\x11\1", 10) +
                           "\xff\xd9";
  for (const std::string& bytes : {png, jpeg}) {
    const Failure failure = failure_of(request_of_bytes(bytes));
    CHECK(failure.code == ErrorCode::kResourceExhausted);
    CHECK_THAT(failure.text, Contains("got a picture of 60000 x 60000"));
  }
  MediaRequest small = request_of(film("a.mp4"));
  small.limits.max_picture_pixels = 80 * 48 - 1;
  CHECK_THAT(failure_of(small).text, Contains("expected at most 3839 pixels"));
  MediaRequest few_bytes = request_of(film("a.mp4"));
  few_bytes.limits.max_bytes = 100;
  CHECK(failure_of(few_bytes).code == ErrorCode::kResourceExhausted);
}

TEST_CASE("a size that grows on the way is a new batch, or refused without harm") {
  clip("small.h264", {.frames = 10, .filter = "", .encode = kH264});
  clip("large.h264", {.frames = 10, .filter = "scale=160:96", .encode = kH264});
  const std::string both = read_file(clip("small.h264")) + read_file(clip("large.h264"));
  const Decoded all = decode(request_of_bytes(both));
  REQUIRE(all.pixels.size() == 20);
  CHECK(all.pixels[9].size(0) == 48);
  CHECK(all.pixels[10].size(0) == 96);
  MediaRequest limited = request_of_bytes(both);
  limited.limits.max_picture_pixels = 80 * 48;
  const Decoded part = decode(limited);
  CHECK(part.pixels.size() == 10);
  CHECK_FALSE(part.warnings.empty());
}

TEST_CASE("a file cut at twenty points gives what is there or a clear error") {
  const char* name = GENERATE("a.mp4", "b.mkv", "d.ts", "e.avi", "h.webm");
  INFO(name);
  const std::string whole = read_file(film(name));
  size_t before = 0;
  for (size_t i = 0; i < 20; ++i) {
    const size_t got = pictures_or_error(request_of_bytes(whole.substr(0, whole.size() * i / 20)));
    CHECK(got <= 40);
    CHECK(got + 4 >= before);  // a longer piece holds no fewer, up to the decoder's reordering
    before = got;
  }
  if (std::string(name) != "a.mp4") CHECK(before > 20);  // its index is at the end
}

TEST_CASE("a film that breaks off says so") {
  const std::string path =
      made_by_ffmpeg("front.mov", "-i " + film("c.mov") + " -c copy -movflags +faststart");
  const std::string bytes = read_file(path);
  const Decoded got = decode(request_of_bytes(bytes.substr(0, bytes.size() * 6 / 10)));
  CHECK(got.indices.size() > 5);
  CHECK(got.indices.size() < 40);
  REQUIRE_FALSE(got.warnings.empty());
  for (const std::string& line : got.warnings) CHECK_THAT(line, Contains("upload: "));
}

TEST_CASE("flipped bits never crash") {
  const char* name = GENERATE("a.mp4", "b.mkv", "d.ts", "f.mp4", "c.mov");
  INFO(name);
  const std::string whole = read_file(film(name));
  uint32_t state = 7;
  for (int round = 0; round < 12; ++round) {
    std::string bytes = whole;
    for (int flip = 0; flip < 1 << (round / 2); ++flip) {
      state = state * 1664525 + 1013904223;
      bytes[state % bytes.size()] ^= static_cast<char>(1 << (state >> 29));
    }
    CHECK(pictures_or_error(request_of_bytes(bytes)) <= 400);
  }
}

TEST_CASE("sound without pictures is no film") {
  const std::string path = made_by_ffmpeg("tone.wav", "-f lavfi -i sine=d=0.2");
  const Failure failure = failure_of(request_of(path));
  CHECK(failure.code == ErrorCode::kNotFound);
  CHECK_THAT(failure.text, Contains("tone.wav: no video stream"));
  CHECK(vision::probe_media(request_of(path)).kind == MediaKind::kAudio);
}

TEST_CASE("cancelling ends a pull") {
  const MediaRequest request = request_of(film("a.mp4"));
  const CancelScope scope(Cancellation().with([] { return true; }));
  CHECK(failure_of(request).code == ErrorCode::kCancelled);
}

TEST_CASE("headers alone tell what a file is") {
  const MediaInfo media = vision::probe_media(request_of(film("a.mp4")));
  CHECK(media.kind == MediaKind::kVideo);
  CHECK(media.width == 80);
  CHECK(media.height == 48);
  CHECK(media.duration_seconds == Approx(1.6));
  CHECK(vision::probe_media(request_of_bytes("%PDF-1.4")).kind == MediaKind::kDocument);
}

TEST_CASE("a stage reads one request after the other") {
  std::vector<MediaRequest> two{request_of(film("a.mp4"), UniformFrames{3}),
                                request_of(film("b.mkv"), UniformFrames{5})};
  const auto stage = vision::make_video_decode(4);
  const auto batches = stage->start(source_of(std::move(two)));
  std::vector<int64_t> sizes;
  while (const auto batch = batches->next()) sizes.push_back(batch->pixels.size(0));
  CHECK(sizes == std::vector<int64_t>{3, 4, 1});
}

}  // namespace lv
