#include "audio/decode/decode.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/pipeline/media/clips.h"
#include "tests/support/close_to.h"

namespace lv {
namespace {

using Catch::Matchers::Contains;

struct Heard {
  at::Tensor samples;  // [S]
  double pts_seconds = 0;
  std::vector<int64_t> sizes;
  std::vector<std::string> warnings;
};

Heard hear(const MediaRequest& request, double seconds_per_chunk = 30) {
  const auto stage = audio::make_audio_decode(seconds_per_chunk);
  const auto chunks = stage->start(source_of_one(request));
  Heard all;
  std::vector<at::Tensor> parts;
  while (const auto chunk = chunks->next()) {
    validate(*chunk);
    CHECK(chunk->sample_rate_hz == 16000);
    if (parts.empty()) all.pts_seconds = chunk->pts_seconds;
    int64_t before = 0;
    for (const int64_t size : all.sizes) before += size;
    CHECK(chunk->pts_seconds ==
          Approx(all.pts_seconds + static_cast<double>(before) / 16000).epsilon(0).margin(1e-9));
    parts.push_back(chunk->samples[0]);
    all.sizes.push_back(chunk->samples.size(1));
    all.warnings.insert(all.warnings.end(), chunk->warnings.begin(), chunk->warnings.end());
  }
  all.samples = parts.empty() ? at::empty({0}) : at::cat(parts);
  return all;
}

/// The strongest frequency of `samples`, to 16000 / S Hz.
double pitch_of(const at::Tensor& samples) {
  const int64_t count = samples.size(0);
  const at::Tensor lag = at::arange(count, at::kDouble);
  double best = 0, best_power = -1;
  for (double hertz = 100; hertz < 2000; hertz += 20) {
    const at::Tensor phase = lag * (2 * M_PI * hertz / 16000);
    const at::Tensor x = samples.to(at::kDouble);
    const double re = (x * phase.cos()).sum().item<double>();
    const double im = (x * phase.sin()).sum().item<double>();
    if (re * re + im * im > best_power) {
      best_power = re * re + im * im;
      best = hertz;
    }
  }
  return best;
}

double loudness(const at::Tensor& samples) { return samples.pow(2).mean().sqrt().item<double>(); }

}  // namespace

TEST_CASE("sound of any format becomes 16 kHz mono") {
  struct Case {
    const char* name;
    const char* options;
  };
  const Case one =
      GENERATE(Case{"t.wav", "-ar 44100 -ac 2"}, Case{"t.m4a", "-ar 48000 -c:a aac"},
               Case{"t.ogg", "-ar 48000 -c:a libopus"}, Case{"t.flac", "-ar 22050"},
               Case{"t.mp3", "-ar 44100 -c:a libmp3lame"},
               Case{"t.mkv", "-ar 48000 -ac 6 -c:a ac3"}, Case{"u.wav", "-ar 8000 -c:a pcm_u8"});
  INFO(one.name);
  const std::string path = made_by_ffmpeg(
      one.name, std::string("-f lavfi -i sine=f=440:d=1.5:sample_rate=48000 ") + one.options);
  const Heard got = hear(request_of(path));
  CHECK(static_cast<double>(got.samples.size(0)) / 16000 == Approx(1.5).margin(0.06));
  CHECK(got.pts_seconds == Approx(0).margin(0.03));
  CHECK(pitch_of(got.samples.slice(0, 4000, 12000)) == 440);
  CHECK(got.warnings.empty());
}

TEST_CASE("chunks follow one another without a gap") {
  const std::string path =
      made_by_ffmpeg("chunks.wav", "-f lavfi -i sine=f=440:d=1.25:sample_rate=16000");
  const Heard cut = hear(request_of(path), 0.5);
  CHECK(cut.sizes == std::vector<int64_t>{8000, 8000, 4000});
  CHECK(at::equal(cut.samples, hear(request_of(path)).samples));
}

TEST_CASE("sound that starts late says when") {
  const std::string path = made_by_ffmpeg(
      "late.mka",
      "-f lavfi -i sine=f=440:d=0.5:sample_rate=16000 -c:a pcm_s16le -output_ts_offset 3");
  const Heard got = hear(request_of(path));
  CHECK(got.pts_seconds == Approx(3.0).margin(0.001));
  CHECK(got.samples.size(0) == 8000);
}

TEST_CASE("start and end cut the sound to the sample") {
  const std::string path =
      made_by_ffmpeg("chunks.wav", "-f lavfi -i sine=f=440:d=1.25:sample_rate=16000");
  const Heard whole = hear(request_of(path));
  MediaRequest request = request_of(path);
  request.sampling.start_seconds = 0.25;
  request.sampling.end_seconds = 0.75;
  const Heard part = hear(request);
  CHECK(part.pts_seconds == Approx(0.25));
  REQUIRE(part.samples.size(0) == 8000);
  CHECK_THAT(part.samples, CloseTo(whole.samples.slice(0, 4000, 12000), 0, 1e-6));
  request.sampling = {UniformFrames{}, 20, std::nullopt};
  CHECK(hear(request).samples.size(0) == 0);
  request.sampling = {UniformFrames{}, 0, std::nullopt};
  request.limits.max_seconds = 0.5;
  const Heard limited = hear(request);
  CHECK(limited.samples.size(0) == 8000);
  CHECK_THAT(limited.warnings.at(0), Contains("which is the limit"));
}

TEST_CASE("a gap becomes silence and a warning") {
  const std::string path =
      made_by_ffmpeg("gap.mka",
                     "-f lavfi -i sine=f=440:d=2:sample_rate=16000 "
                     "-af \"aselect='lt(t,0.5)+gte(t,1.5)'\" -c:a pcm_s16le -vsync passthrough");
  const Heard got = hear(request_of(path), 0.3);
  CHECK(got.samples.size(0) == Approx(32000).margin(200));
  CHECK(loudness(got.samples.slice(0, 9600, 22400)) < 1e-4);
  CHECK(loudness(got.samples.slice(0, 25600, 31000)) > 0.05);
  REQUIRE(got.warnings.size() == 1);
  CHECK_THAT(got.warnings[0], Contains("no sound from 0."));
}

TEST_CASE("of two streams the default one is heard") {
  const bool second = GENERATE(false, true);
  const std::string path = made_by_ffmpeg(
      second ? "two2.mkv" : "two1.mkv",
      std::string("-f lavfi -i sine=f=440:d=1 -f lavfi -i sine=f=880:d=1 -map 0 -map 1 -c:a "
                  "pcm_s16le -disposition:a:0 ") +
          (second ? "0 -disposition:a:1 default" : "default -disposition:a:1 0"));
  CHECK(pitch_of(hear(request_of(path)).samples.slice(0, 4000, 12000)) == (second ? 880 : 440));
}

TEST_CASE("the sound of a film is found beside its pictures") {
  film("a.mp4");
  const std::string path =
      made_by_ffmpeg("both.mp4", "-i {a.mp4} -f lavfi -i sine=f=440:d=1.6 -c:v copy -c:a aac");
  CHECK(pitch_of(hear(request_of(path)).samples.slice(0, 4000, 12000)) == 440);
  CHECK(decode(request_of(path)).indices.size() == 40);
}

TEST_CASE("what has no sound says so") {
  const auto hearing = [](const MediaRequest& request) { return hear(request); };
  CHECK_THROWS_WITH(hearing(request_of(film("a.mp4"))), Contains("a.mp4: no audio stream"));
  CHECK_THROWS_WITH(hearing(request_of_bytes("nothing at all")), Contains("expected a video"));
  const std::string wav =
      read_file(made_by_ffmpeg("chunks.wav", "-f lavfi -i sine=f=440:d=1.25:sample_rate=16000"));
  CHECK_THROWS_WITH(hearing(request_of_bytes(wav.substr(0, 50))), Contains("upload: "));
  CHECK(hear(request_of_bytes(wav.substr(0, wav.size() / 2))).samples.size(0) > 9000);
}

TEST_CASE("a broken length is refused") {
  CHECK_THROWS_AS(audio::make_audio_decode(0), Error);
  CHECK_THROWS_AS(audio::make_audio_decode(1e9), Error);
}

}  // namespace lv
