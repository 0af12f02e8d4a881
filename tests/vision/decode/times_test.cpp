#include <catch2/catch.hpp>
#include <numeric>

#include "tests/pipeline/media/clips.h"

// Which picture is shown when, proved by films whose pictures carry their own index.

namespace lv {
namespace {

std::vector<int> count_up(int first, int count) {
  std::vector<int> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), first);
  return all;
}

void check_times(const Decoded& got, double first, double step, double tolerance) {
  for (size_t i = 0; i < got.pts_seconds.size(); ++i) {
    INFO("picture " << i);
    CHECK(got.pts_seconds[i] ==
          Approx(first + step * static_cast<double>(i)).margin(tolerance).epsilon(0));
  }
}

}  // namespace

TEST_CASE("every picture of every format comes once, in order, at its time") {
  const char* name = GENERATE("a.mp4", "b.mkv", "c.mov", "d.ts", "e.avi", "f.mp4", "g.mkv",
                              "h.webm", "i.flv", "j.mpg", "k.avi", "l.webm");
  INFO(name);
  const Decoded got = decode(request_of(film(name)));
  REQUIRE(got.indices == count_up(0, 40));
  check_times(got, got.pts_seconds[0], 0.04, 0.00101);  // Matroska and FLV round to milliseconds
  CHECK(got.media.kind == MediaKind::kVideo);
  CHECK(got.media.width == 80);
  CHECK(got.media.height == 48);
  CHECK(got.warnings.empty());
}

TEST_CASE("pictures of a variable rate keep their times") {
  const char* name = GENERATE("vfr.mp4", "vfr.mkv");
  INFO(name);
  const Decoded got = decode(request_of(film(name)));
  // The last picture's length is unknown; some writers then end the film where it starts.
  REQUIRE(got.indices.size() >= 39);
  REQUIRE(got.indices == count_up(0, static_cast<int>(got.indices.size())));
  for (size_t n = 0; n < got.indices.size(); ++n) {
    const double expected = static_cast<double>(40 * n + 10 * (n % 3) + n * n) / 1000;
    CHECK(got.pts_seconds[n] == Approx(expected).margin(0.0002).epsilon(0));
  }
}

TEST_CASE("an edit list hides what it cuts away") {
  const Decoded got = decode(request_of(film("edit.mp4")));
  REQUIRE(got.indices == count_up(13, 27));
  check_times(got, 0, 0.04, 1e-4);
}

TEST_CASE("a film that does not start at zero keeps its own times") {
  const char* name = GENERATE("late.mp4", "late.mkv", "late.ts");
  INFO(name);
  const std::string path = film(name);
  const Decoded got = decode(request_of(path));
  REQUIRE(got.indices == count_up(0, 40));
  const double first = got.pts_seconds[0];
  CHECK(first >= 7.5);
  CHECK(first < 10);
  check_times(got, first, 0.04, 0.00101);
  // The rule divides what the film covers, not the time before.
  CHECK(decode(request_of(path, UniformFrames{4})).indices == std::vector<int>{5, 15, 25, 35});
  CHECK(decode(request_of(path, FramesAt{{first + 0.5}})).indices == std::vector<int>{12});
}

TEST_CASE("a container that does not say its length is measured") {
  film("a.mp4");
  const std::string path = made_by_ffmpeg("live.mkv", "-i {a.mp4} -c copy -f matroska -live 1");
  CHECK(decode(request_of(path, UniformFrames{4})).indices == std::vector<int>{5, 15, 25, 35});
  const std::string bare = made_by_ffmpeg("bare.h264", "-i {a.mp4} -c copy -f h264");
  CHECK(decode(request_of(bare)).indices == count_up(0, 40));
}

TEST_CASE("a film of one picture has one picture") {
  const Decoded got = decode(
      request_of(clip("one.mp4", {.frames = 1, .filter = "", .encode = kH264}), UniformFrames{8}));
  CHECK(got.indices == std::vector<int>{0});
  CHECK(got.pts_seconds == std::vector<double>{0});
}

TEST_CASE("odd sizes keep every row and column") {
  const Decoded got = decode(
      request_of(clip("odd.mkv", {.frames = 5,
                                  .width = 79,
                                  .height = 47,
                                  .filter = "",
                                  .encode = "-c:v libx264 -preset ultrafast -pix_fmt yuv444p"})));
  CHECK(got.indices == count_up(0, 5));
  CHECK(got.pixels[0].size(0) == 47);
  CHECK(got.pixels[0].size(1) == 79);
}

TEST_CASE("a rotated film comes as it is shown") {
  film("a.mp4");
  const std::string path =
      made_by_ffmpeg("turned.mp4", "-i {a.mp4} -c copy -metadata:s:v:0 rotate=90");
  const Decoded got = decode(request_of(path, UniformFrames{2}));
  CHECK(got.media.width == 48);
  CHECK(got.media.height == 80);
  REQUIRE(got.pixels.at(0).size(0) == 80);
  CHECK(got.pixels[0].size(1) == 48);
  // ffmpeg turns what it decodes, too.
  const Decoded oracle = decode(request_of(
      made_by_ffmpeg("turned.png", "-ss 0.4 -i {turned.mp4} -frames:v 1 -pix_fmt rgb24")));
  const at::Tensor upright = got.pixels[0].transpose(0, 1).flip({1});
  CHECK(index_of(upright) == 10);
  CHECK(index_of(oracle.pixels.at(0).transpose(0, 1).flip({1})) == 10);
}

}  // namespace lv
