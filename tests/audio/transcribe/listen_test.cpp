#include "audio/transcribe/listen.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "audio/transcribe/subtitles.h"
#include "audio/transcribe/transcriber.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"

namespace lv::audio {
namespace {

constexpr const char* kModel = ".deps/models/whisper-tiny.en";
constexpr const char* kSaid = "A red car is waiting at the corner.";

std::shared_ptr<const Transcriber> transcriber() {
  static const auto shared = std::make_shared<const Transcriber>(data(kModel), ListenOptions{});
  return shared;
}

// The samples of tests/data/audio/speech.wav, whose header has 44 bytes: [1, S]
at::Tensor speech() {
  const std::string bytes = read_file(data("tests/data/audio/speech.wav")).substr(44);
  at::Tensor samples = at::empty({1, static_cast<int64_t>(bytes.size() / 2)}, at::kShort);
  std::memcpy(samples.data_ptr(), bytes.data(), bytes.size() / 2 * 2);
  return samples.to(at::kFloat) / 32768;
}

AudioChunk sound_at(at::Tensor samples, double pts_seconds) {
  AudioChunk chunk;
  chunk.samples = std::move(samples);
  chunk.sample_rate_hz = 16000;
  chunk.pts_seconds = pts_seconds;
  return chunk;
}

std::vector<AudioTokens> hear(std::vector<AudioChunk> chunks) {
  const auto stage = make_listen(transcriber());
  const auto source = stage->start(source_of(std::move(chunks)));
  return collect(*source);
}

}  // namespace

TEST_CASE("listen hears what is said, when", "[models]") {
  const auto heard = hear({sound_at(speech(), 10)});
  REQUIRE(heard.size() == 1);
  validate(heard[0]);
  REQUIRE(heard[0].speech.size() == 1);
  CHECK(heard[0].language == "en");
  CHECK(heard[0].speech[0].text == kSaid);
  CHECK(heard[0].speech[0].start_seconds == Approx(10).margin(0.3));
  const double end = 10 + static_cast<double>(speech().size(1)) / 16000;
  CHECK(heard[0].speech[0].end_seconds == Approx(end).margin(1));
  CHECK(heard[0].speech[0].end_seconds <= end);
}

TEST_CASE("the encoder's rows under the speech come with their times", "[models]") {
  const auto heard = hear({sound_at(speech(), 10)});
  const SpeechSegment& segment = heard[0].speech.at(0);
  const at::Tensor& times = heard[0].pts_seconds;
  REQUIRE(times.size(0) > 50);
  CHECK(heard[0].features.size(1) == 384);
  CHECK(times[0].item<double>() == Approx(segment.start_seconds).margin(0.02));
  CHECK(times[-1].item<double>() == Approx(segment.end_seconds).margin(0.03));
  CHECK_THAT(times.diff(), CloseTo(at::full({times.size(0) - 1}, 0.02), 0, 1e-9));
}

TEST_CASE("the size of the chunks changes nothing", "[models]") {
  std::vector<AudioChunk> chunks;
  int64_t at = 0;
  for (const at::Tensor& part : speech().split(1111, 1)) {
    chunks.push_back(sound_at(part, static_cast<double>(at) / 16000));
    at += part.size(1);
  }
  chunks.insert(chunks.begin() + 3, sound_at(at::zeros({1, 0}), 0));
  const auto whole = hear({sound_at(speech(), 0)});
  const auto parts = hear(chunks);
  REQUIRE(parts.size() == whole.size());
  CHECK(to_srt(parts[0].speech) == to_srt(whole[0].speech));
  CHECK_THAT(parts[0].features, CloseTo(whole[0].features, 0, 0));
}

TEST_CASE("a jump between chunks starts a window", "[models]") {
  const auto heard = hear({sound_at(speech(), 0), sound_at(speech(), 100)});
  REQUIRE(heard.size() == 2);
  CHECK(heard[1].speech.at(0).text == kSaid);
  CHECK(heard[1].speech.at(0).start_seconds == Approx(100).margin(0.3));
}

TEST_CASE("silence says nothing, and no sound is no window", "[models]") {
  const auto heard = hear({sound_at(at::zeros({1, 32000}), 0)});
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].speech.empty());
  CHECK(heard[0].features.size(0) == 0);
  CHECK(hear({}).empty());
  CHECK(hear({sound_at(at::zeros({1, 100}), 0)}).empty());
}

TEST_CASE("windows cut no word", "[.slow][models]") {
  // Thirteen sentences over 38 s: one of them lies across the end of the first window. They repeat
  // themselves, which no attempt could mend.
  ListenOptions greedy;
  greedy.temperatures = {0};
  std::vector<at::Tensor> parts;
  for (int i = 0; i < 13; ++i) parts.push_back(speech());
  const auto source =
      make_listen(data(kModel), greedy)->start(source_of_one(sound_at(at::cat(parts, 1), 0)));
  const auto heard = collect(*source);
  CHECK(heard.size() >= 2);
  std::string text;
  for (const AudioTokens& window : heard) {
    for (const SpeechSegment& segment : window.speech) text += segment.text + " ";
  }
  size_t count = 0;
  for (size_t at = text.find("red car"); at != std::string::npos;
       at = text.find("red car", at + 1)) {
    ++count;
  }
  CHECK(count == 13);
}

TEST_CASE("listen takes one channel at 16 kHz", "[models]") {
  AudioChunk wrong = sound_at(at::zeros({2, 100}), 0);
  CHECK_THROWS_WITH(hear({wrong}), "listen: expected one channel at 16000 Hz, got 2 at 16000 Hz");
  wrong = sound_at(at::zeros({1, 100}), 0);
  wrong.sample_rate_hz = 44100;
  CHECK_THROWS_WITH(hear({wrong}), "listen: expected one channel at 16000 Hz, got 1 at 44100 Hz");
}

TEST_CASE("an English-only model refuses other languages", "[models]") {
  ListenOptions options;
  options.language = "fr";
  CHECK_THROWS_WITH(Transcriber(data(kModel), options),
                    "language: the model knows English only, got 'fr'");
  options.language = "en";
  options.temperatures.clear();
  CHECK_THROWS_WITH(Transcriber(data(kModel), options), "temperatures: expected at least one");
}

TEST_CASE("a prompt is the end of what was said, then the start", "[models]") {
  CHECK(transcriber()->prompt({}, "en") == std::vector<int64_t>{50257});
  std::vector<int64_t> earlier(300);
  for (size_t i = 0; i < earlier.size(); ++i) earlier[i] = static_cast<int64_t>(i);
  const auto prompt = transcriber()->prompt(earlier, "en");
  REQUIRE(prompt.size() == 225);
  CHECK(prompt[0] == 50360);
  CHECK(prompt[1] == 77);
  CHECK(prompt[223] == 299);
  CHECK(prompt[224] == 50257);
}

TEST_CASE("a compression ratio tells repetition") {
  CHECK(compression_ratio("") == 0);
  CHECK(compression_ratio("a") == Approx(1.0 / 9));  // zlib.compress(b"a") has 9 bytes
  CHECK(compression_ratio(kSaid) < 1);
  std::string repeated;
  for (int i = 0; i < 20; ++i) repeated += kSaid;
  CHECK(compression_ratio(repeated) > 2.4);
}

TEST_CASE("draws at a temperature depend on the seed alone", "[models]") {
  const LogMel& log_mel = transcriber()->log_mel();
  const at::Tensor encoded = transcriber()->model().encode(log_mel(speech()));
  ListenOptions hot;
  hot.temperatures = {1};
  hot.logprob_threshold = -100;
  const Transcriber drawing(data(kModel), hot);
  const auto prompt = drawing.prompt({}, "en");
  const Attempt first = drawing.transcribe(encoded, prompt, 7);
  CHECK(first.temperature == 1);
  CHECK(drawing.transcribe(encoded, prompt, 7).ids == first.ids);
}

}  // namespace lv::audio
