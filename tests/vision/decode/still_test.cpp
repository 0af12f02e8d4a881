#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/pipeline/media/clips.h"
#include "tests/support/close_to.h"
#include "vision/decode/decode.h"

namespace lv {
namespace {

using Catch::Matchers::Contains;

/// Picture 10 of the shared film as a still.
std::string still(const std::string& name, const std::string& options = "") {
  film("c.mov");
  return made_by_ffmpeg(name, "-ss 0.4 -i {c.mov} -frames:v 1 " + options);
}

/// A JPEG with an EXIF block that holds an orientation.
std::string with_orientation(const std::string& jpeg, char orientation, bool big_endian) {
  std::string tiff = big_endian ? std::string("MM\0\x2a\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0", 19)
                                : std::string("II\x2a\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0", 18);
  tiff += orientation;
  tiff += std::string(big_endian ? 6 : 7, '\0');
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  return jpeg.substr(0, 2) + "\xff\xe1" + '\0' + static_cast<char>(body.size() + 2) + body +
         jpeg.substr(2);
}

}  // namespace

TEST_CASE("stills are films of one picture at time zero") {
  const char* name = GENERATE("s.png", "s.jpg", "s.bmp", "s.webp", "s.gif");
  INFO(name);
  const std::string path = still(name);
  const Decoded got = decode(request_of(path, UniformFrames{8}));
  CHECK(got.indices == std::vector<int>{10});
  CHECK(got.pts_seconds == std::vector<double>{0});
  CHECK(got.media.kind == MediaKind::kPicture);
  CHECK(got.media.duration_seconds == 0);
  CHECK(got.warnings.empty());
  const MediaInfo probed = vision::probe_media(request_of_bytes(read_file(path)));
  CHECK(probed.kind == MediaKind::kPicture);
  CHECK(probed.width == 80);
  CHECK(probed.height == 48);
}

TEST_CASE("an animated GIF is a film") {
  film("c.mov");
  const std::string path = made_by_ffmpeg("film.gif", "-i {c.mov}");
  const Decoded got = decode(request_of(path));
  REQUIRE(got.indices.size() == 40);
  CHECK(got.indices[39] == 39);
  CHECK(got.pts_seconds[39] == Approx(1.56));
  CHECK(got.media.kind == MediaKind::kVideo);
}

TEST_CASE("EXIF's orientation is applied") {
  const bool big_endian = GENERATE(true, false);
  const std::string jpeg = read_file(still("s.jpg"));
  const at::Tensor plain = decode(request_of_bytes(jpeg)).pixels.at(0);
  const auto shown = [&](char orientation) {
    const Decoded got = decode(request_of_bytes(with_orientation(jpeg, orientation, big_endian)));
    CHECK(got.media.width == got.pixels.at(0).size(1));
    return got.pixels.at(0);
  };
  CHECK(at::equal(shown(1), plain));
  CHECK(at::equal(shown(3), plain.flip({0, 1})));
  // 6: the camera was turned, the stored left side is the top.
  const at::Tensor six = shown(6);
  CHECK(six.size(0) == 80);
  CHECK(index_of(six.transpose(0, 1)) == 10);
  // 8: the stored left side is the bottom.
  CHECK(index_of(shown(8).flip({0}).transpose(0, 1)) == 10);
  CHECK(vision::probe_media(request_of_bytes(with_orientation(jpeg, 6, big_endian))).width == 48);
}

TEST_CASE("what is transparent is white") {
  const std::string path =
      made_by_ffmpeg("clear.png", "-f lavfi -i color=red@0.5:s=8x8,format=rgba -frames:v 1");
  const at::Tensor pixel = decode(request_of(path)).pixels.at(0)[4][4];
  CHECK_THAT(pixel, CloseTo(at::tensor({255, 127, 127}), 0, 2));  // alpha is 127 or 128
}

TEST_CASE("colours are those that were stored") {
  const char* options =
      GENERATE("-f lavfi -i color=0x4080C0:s=64x64 -frames:v 1 -c:v png",
               "-f lavfi -i color=0x4080C0:s=64x64 -frames:v 1 -c:v mjpeg -q:v 1");
  const at::Tensor pixel =
      decode(request_of(made_by_ffmpeg(
                 std::string("colour") + std::to_string(std::string(options).size()) +
                     (std::string(options).find("png") == std::string::npos ? ".jpg" : ".png"),
                 options)))
          .pixels.at(0)[32][32];
  CHECK_THAT(pixel, CloseTo(at::tensor({0x40, 0x80, 0xC0}), 0, 3));  // JPEG rounds twice
}

TEST_CASE("the matrix of a film's colours is heeded") {
  const char* space = GENERATE("bt709", "smpte170m");
  const std::string path = made_by_ffmpeg(
      std::string(space) + ".mp4",
      std::string(
          "-f lavfi -i color=0x4080C0:s=64x64:d=0.2,format=rgb24 -vf scale=out_color_matrix=") +
          (std::string(space) == "bt709" ? "bt709" : "smpte170m") +
          ":flags=accurate_rnd -colorspace " + space +
          " -c:v libx264 -qp 1 -pix_fmt yuv444p -preset ultrafast");
  const at::Tensor pixel = decode(request_of(path)).pixels.at(0)[32][32];
  CHECK_THAT(pixel, CloseTo(at::tensor({0x40, 0x80, 0xC0}), 0, 3));  // 8 bit limited range
}

TEST_CASE("a broken still is an error that names it") {
  const std::string png = read_file(still("s.png"));
  MediaRequest cut = request_of_bytes(png.substr(0, 60));
  CHECK_THROWS_WITH(decode(cut), Contains("upload: expected a png picture"));
  const std::string jpeg = read_file(still("s.jpg"));
  CHECK(decode(request_of_bytes(jpeg.substr(0, jpeg.size() * 3 / 4))).pixels.size() == 1);
}

}  // namespace lv
