#include "vision/decode/sampling.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "tests/pipeline/media/clips.h"
#include "tests/support/close_to.h"
#include "vision/decode/file_reader.h"

namespace lv {
namespace {

using Catch::Matchers::Contains;

Sampling part(SamplingRule rule, double start, std::optional<double> end = std::nullopt) {
  return {std::move(rule), start, end};
}

std::vector<int> indices(const std::string& path, const Sampling& sampling) {
  MediaRequest request = request_of(path);
  request.sampling = sampling;
  return decode(request).indices;
}

Decoded read_with(const MediaRequest& request, SeekRule seek_rule, int64_t* seeks = nullptr) {
  vision::FileReader reader(request, 8, at::kCPU, seek_rule);
  Decoded all;
  while (const std::optional<FrameBatch> batch = reader.next()) {
    for (int64_t i = 0; i < batch->pixels.size(0); ++i) {
      all.pixels.push_back(batch->pixels[i]);
      all.pts_seconds.push_back(batch->pts_seconds[i].item<double>());
    }
  }
  if (seeks != nullptr) *seeks = reader.film()->seeks();
  return all;
}

}  // namespace

TEST_CASE("uniform sampling takes the middle of each part") {
  const std::string path = film("a.mp4");
  CHECK(indices(path, part(UniformFrames{4}, 0)) == std::vector<int>{5, 15, 25, 35});
  CHECK(indices(path, part(UniformFrames{1}, 0)) == std::vector<int>{20});
  CHECK(indices(path, part(UniformFrames{2}, 0.4, 0.8)) == std::vector<int>{12, 17});
  CHECK(indices(path, part(UniformFrames{400}, 0)).size() == 40);
}

TEST_CASE("a model's own pace takes the frames that the reference takes") {
  const Json all = read_json_file(data("tests/data/vision/film_frames.json")).at("frames");
  const std::map<std::string, PacedFrames> rules{{"smolvlm", {1, 1, 64, 1, true, 1}},
                                                 {"qwen", {2, 4, 768, 2, false, 0}}};
  for (const auto& [name, rule] : rules) {
    for (const Json& film : all.at(name).as_array()) {
      const int64_t frames = film.as_array()[0].as_int();
      const double rate = film.as_array()[1].as_double();
      CAPTURE(name, frames, rate);
      Warnings warnings("film");
      const std::vector<double> times =
          vision::times_of(rule, {3, 3 + static_cast<double>(frames) / rate}, rate, {}, warnings);
      Json::Array got;
      for (const double seconds : times) {
        got.emplace_back(static_cast<int64_t>(std::floor((seconds - 3) * rate)));
      }
      CHECK(Json(got).dump() == film.as_array()[2].dump());
    }
  }
}

TEST_CASE("a film is looked at at a pace, without one evenly") {
  const std::string path = film("a.mp4");  // 40 pictures, 25 a second
  CHECK(indices(path, part(PacedFrames{1, 1, 64, 1, true, 1}, 0)) == std::vector<int>{0, 39});
  CHECK(indices(path, part(PacedFrames{2, 4, 768, 2}, 0)) == std::vector<int>{0, 10, 20, 30});
  CHECK(indices(path, part(UsualFrames{}, 0)) == indices(path, part(UniformFrames{8}, 0)));
  CHECK_THROWS_WITH(indices(path, part(PacedFrames{0}, 0)), Contains("sampling.paced"));
  CHECK_THROWS_WITH(indices(path, part(PacedFrames{1, 5, 4}, 0)), Contains("sampling.paced"));
}

TEST_CASE("a rate takes the picture shown at each step") {
  const std::string path = film("a.mp4");
  CHECK(indices(path, part(FramesPerSecond{5}, 0)) ==
        std::vector<int>{0, 5, 10, 15, 20, 25, 30, 35});
  CHECK(indices(path, part(FramesPerSecond{10}, 1, 1.3)) == std::vector<int>{25, 27, 30});
  CHECK(indices(path, part(FramesPerSecond{0.1}, 0)) == std::vector<int>{0});
}

TEST_CASE("explicit times take the picture on the screen, each once, in order") {
  const std::string path = film("a.mp4");
  const Decoded got = decode(request_of(path, FramesAt{{1.0, 0.039, 0.04, 0.05, 99, 1.0}}));
  CHECK(got.indices == std::vector<int>{0, 1, 25});
  CHECK(got.pts_seconds[1] == Approx(0.04));
  REQUIRE(got.warnings.size() == 1);
  CHECK_THAT(got.warnings[0], Contains("nothing is shown at 99.000 s"));
}

TEST_CASE("batches say how many frames come in all, where that is known") {
  const auto told = [](const SamplingRule& rule) {
    vision::FileReader reader(request_of(film("a.mp4"), rule), 2);
    std::vector<int64_t> all;
    while (const auto batch = reader.next()) all.push_back(batch->film_frames);
    return all;
  };
  CHECK(told(UniformFrames{5}) == std::vector<int64_t>{5, 5, 5});
  CHECK(told(PacedFrames{.rate = 2, .multiple = 2}) == std::vector<int64_t>{2});
  CHECK(told(KeyFrames{}) == std::vector<int64_t>{0, 0});
}

TEST_CASE("key pictures are those that decode on their own") {
  const char* name = GENERATE("a.mp4", "b.mkv", "d.ts");
  INFO(name);
  const std::string path = film(name);
  // At most ten pictures lie between two key pictures, by the encoder's option.
  CHECK(indices(path, part(KeyFrames{}, 0)) == std::vector<int>{0, 10, 20, 30});
  const std::vector<double> times = decode(request_of(path, KeyFrames{})).pts_seconds;
  const double late = times.at(2);
  CHECK(late - times[0] == Approx(0.8).margin(0.001));
  CHECK(indices(path, part(KeyFrames{}, late, late + 0.1)) == std::vector<int>{20});
}

TEST_CASE("scene changes are the first pictures of scenes") {
  const std::string path = made_by_ffmpeg(
      "scenes.mp4",
      "-f lavfi -i \"testsrc=s=96x64:r=25:d=1,format=yuv420p[a];color=black:s=96x64:r=25:d=0.6[b];"
      "testsrc=s=96x64:r=25:d=0.8,negate,format=yuv420p[c];[a][b][c]concat=n=3\" "
      "-c:v libx264 -preset ultrafast");
  const Decoded got = decode(request_of(path, SceneChanges{0.3}));
  REQUIRE(got.pts_seconds.size() == 3);
  CHECK(got.pts_seconds[0] == 0);
  CHECK(got.pts_seconds[1] == Approx(1.0));
  CHECK(got.pts_seconds[2] == Approx(1.6));
}

TEST_CASE("jumping gives the pictures that reading through gives") {
  const char* name = GENERATE("a.mp4", "b.mkv", "d.ts", "e.avi", "f.mp4", "g.mkv", "h.webm",
                              "j.mpg", "late.ts", "edit.mp4", "vfr.mkv");
  INFO(name);
  const std::string path = film(name);
  MediaRequest request = request_of(path, UniformFrames{7});
  int64_t seeks = 0;
  const Decoded jumped = read_with(request, SeekRule::kAlways, &seeks);
  const Decoded through = read_with(request, SeekRule::kNever);
  REQUIRE(jumped.pts_seconds == through.pts_seconds);
  for (size_t i = 0; i < jumped.pixels.size(); ++i) {
    CHECK(at::equal(jumped.pixels[i], through.pixels[i]));
  }
  CHECK(seeks > 0);
}

TEST_CASE("the reader jumps only where that is cheaper") {
  const std::string path = clip("longer.mp4", {.frames = 250, .filter = "", .encode = kH264});
  int64_t seeks = 0;
  read_with(request_of(path, UniformFrames{3}), SeekRule::kWhenCheaper, &seeks);
  CHECK(seeks == 3);
  read_with(request_of(path, FramesPerSecond{5}), SeekRule::kWhenCheaper, &seeks);
  CHECK(seeks == 0);
}

TEST_CASE("ceilings win and say so") {
  const std::string path = film("a.mp4");
  MediaRequest request = request_of(path, FramesPerSecond{25});
  SECTION("pictures") {
    request.limits.max_frames = 3;
    const Decoded got = decode(request);
    CHECK(got.indices == std::vector<int>{0, 1, 2});
    CHECK_THAT(got.warnings.at(0), Contains("40 pictures wanted, the limit is 3"));
  }
  SECTION("pictures, spread over the whole film") {
    request.sampling.rule = UniformFrames{100};
    request.limits.max_frames = 4;
    CHECK(decode(request).indices == std::vector<int>{5, 15, 25, 35});
  }
  SECTION("pictures of a rule that finds them on the way") {
    request.sampling.rule = KeyFrames{};
    request.limits.max_frames = 2;
    const Decoded got = decode(request);
    CHECK(got.indices == std::vector<int>{0, 10});
    CHECK_THAT(got.warnings.at(0), Contains("stopped after 2 pictures"));
  }
  SECTION("all pixels") {
    request.limits.max_total_pixels = 2 * 80 * 48 + 1;
    const Decoded got = decode(request);
    CHECK(got.indices == std::vector<int>{0, 1});
    CHECK_THAT(got.warnings.at(0), Contains("stopped before picture 3"));
  }
  SECTION("seconds") {
    request.limits.max_seconds = 0.2;
    const Decoded got = decode(request);
    CHECK(got.indices == std::vector<int>{0, 1, 2, 3, 4});
    CHECK_THAT(got.warnings.at(0), Contains("only the first 0.200 s of 1.600 s"));
  }
}

TEST_CASE("a range outside the film is refused") {
  const std::string path = film("a.mp4");
  CHECK_THROWS_WITH(indices(path, part(UniformFrames{4}, 5)),
                    Contains("expected a start before the film's end at 1.600 s, got 5.000 s"));
  CHECK_THROWS_WITH(indices(path, part(UniformFrames{4}, 2, 1)), Contains("sampling.end_seconds"));
  CHECK_THROWS_WITH(indices(path, part(UniformFrames{0}, 0)), Contains("sampling.count"));
  CHECK_THROWS_WITH(indices(path, part(FramesPerSecond{0}, 0)), Contains("sampling.rate"));
  CHECK_THROWS_WITH(indices(path, part(FramesAt{}, 0)), Contains("sampling.seconds"));
  CHECK_THROWS_WITH(indices(path, part(SceneChanges{2}, 0)), Contains("sampling.threshold"));
  CHECK_THROWS_WITH(indices(path, part(FramesAt{{50}}, 0)), Contains("no picture lies"));
}

}  // namespace lv
