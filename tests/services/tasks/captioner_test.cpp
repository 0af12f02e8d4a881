#include "services/tasks/captioner.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/is_error.h"
#include "vision/compressors/compressors.h"

namespace lv::services {
namespace {

/// A file's text is what it holds: "still" or "film", else there is nothing to see.
class Pictures : public MapStage<MediaRequest, FrameBatch> {
 public:
  FrameBatch map(MediaRequest request) const override {
    check(request.name == "still" || request.name == "film", ErrorCode::kNotFound,
          request.name + ": no video stream");
    const bool film = request.name == "film";
    FrameBatch batch;
    batch.pixels = at::zeros({film ? 2 : 1, 2, 2, 3}, at::kByte);
    batch.pts_seconds = at::arange(film ? 2 : 1, at::kDouble);
    batch.media.kind = film ? MediaKind::kVideo : MediaKind::kPicture;
    batch.media.duration_seconds = film ? 2 : 0;
    return batch;
  }
};

class Silence : public MapStage<MediaRequest, AudioChunk> {
 public:
  AudioChunk map(MediaRequest) const override { return {at::zeros({1, 1}), 16000, 0, {}, {}}; }
};

class Words : public MapStage<AudioChunk, AudioTokens> {
 public:
  AudioTokens map(AudioChunk) const override {
    return {at::ones({2, 3}), at::tensor({.2, .7}, at::kDouble), {{0, 1, "hello"}}, "en"};
  }
};

/// Keeps all, and notes the sound that it is shown.
class Hearing : public vision::Compressor {
 public:
  VisualContext map(ClipTokens clip) const override {
    heard = clip.audio;
    return vision::make_keep_all({})->map(std::move(clip));
  }

  mutable std::optional<AudioTokens> heard;
};

/// One token a frame. Hands stills out behind films, as encoders do that see them together.
class Frames : public Stage<FrameBatch, VisualTokens> {
 public:
  SourcePtr<VisualTokens> start(SourcePtr<FrameBatch> input) const override {
    ++runs;
    std::vector<VisualTokens> films, stills;
    while (const auto batch = input->next()) {
      const int64_t count = batch->pixels.size(0);
      VisualTokens tokens;
      tokens.features = at::full({count, 1}, batch->source, at::kFloat);
      tokens.offsets = at::arange(count + 1, at::kInt);
      tokens.grids.assign(static_cast<size_t>(count), {1, 1});
      tokens.origin = {batch->pts_seconds, at::full({count}, batch->source, at::kInt),
                       at::ones({count, 4}), at::full({count}, kObserved, at::kByte),
                       at::zeros({count, 2}, at::kInt)};
      (batch->media.kind == MediaKind::kVideo ? films : stills).push_back(std::move(tokens));
    }
    films.insert(films.end(), stills.begin(), stills.end());
    return source_of(std::move(films));
  }

  mutable int runs = 0;
};

/// Answers with the features of the visual tokens that it is shown; in JSON, as far as it comes, if
/// that is asked for.
class Reader : public MapStage<Prompt, TextDelta> {
 public:
  TextDelta map(Prompt prompt) const override {
    TextDelta delta;
    for (const PromptPart& part : prompt.messages.front().parts) {
      const auto* tokens = std::get_if<CompressedTokens>(&part);
      for (int64_t i = 0; tokens != nullptr && i < tokens->embeddings.size(0); ++i) {
        delta.text += " " + std::to_string(tokens->embeddings[i].item<int32_t>());
      }
    }
    delta.last = true;
    if (!prompt.options.json_schema.empty()) {
      delta = {0, R"({"seen":)", true, FinishReason::kLength, 1, 3};
    }
    return delta;
  }
};

struct Told {
  TaskResult result;
  int runs = 0;
};

Stages stages_of(std::shared_ptr<const Frames> frames) {
  Stages stages;
  stages.decode_video = std::make_shared<Pictures>();
  stages.decode_audio = std::make_shared<Silence>();
  stages.listen = std::make_shared<Words>();
  stages.encode = [frames](const auto&) { return frames; };
  stages.compress = [](const auto&) { return vision::make_keep_all({}); };
  stages.generate = std::make_shared<Reader>();
  return stages;
}

TaskResult caption(const Stages& stages, const std::vector<std::string>& files, bool listen,
                   const std::string& json_schema = "") {
  CaptionRequest request;
  for (const std::string& file : files) {
    request.sources.emplace_back();
    request.sources.back().name = file;
  }
  if (json_schema.empty()) request.prompt = "?";
  request.options.json_schema = json_schema;
  request.listen = listen;
  request.read = false;
  return Captioner(stages, nullptr, "tiny").caption(request);
}

Told told(const std::vector<std::string>& files, bool listen = false,
          const std::string& json_schema = "") {
  const auto frames = std::make_shared<Frames>();
  Told all;
  all.result = caption(stages_of(frames), files, listen, json_schema);
  all.runs = frames->runs;
  return all;
}

}  // namespace

TEST_CASE("one run of the encoder sees all files, and the prompt keeps their order") {
  const Told all = told({"still", "film", "still"});
  CHECK(all.runs == 1);
  CHECK(all.result.text == "0 1 1 2.");
  REQUIRE(all.result.segments.size() == 3);
  CHECK(all.result.segments[1].text == "1 1.");
  REQUIRE(all.result.sampling.size() == 4);
  CHECK(all.result.sampling[2].source == 1);
  CHECK(all.result.sources[2].media.kind == MediaKind::kPicture);
  CHECK(all.result.tokens.visual_in == 4);
}

TEST_CASE("a compressor that reads sound is shown that of one file") {
  const auto heard = [](bool hears, const std::vector<std::string>& files) {
    const auto hearing = std::make_shared<Hearing>();
    Stages stages = stages_of(std::make_shared<Frames>());
    stages.compress = [&](const auto&) { return hearing; };
    stages.hears = hears;
    caption(stages, files, true);
    return hearing->heard;
  };
  const std::optional<AudioTokens> of_film = heard(true, {"film"});
  REQUIRE(of_film);
  CHECK(of_film->features.sizes() == at::IntArrayRef{2, 3});
  CHECK(of_film->pts_seconds[1].item<double>() == 0.7);
  CHECK(of_film->speech.empty());
  CHECK_FALSE(heard(false, {"film"}));
  CHECK_FALSE(heard(true, {"film", "film"}));
}

TEST_CASE("a file without pictures is an error unless there is sound to tell") {
  CHECK_THROWS_MATCHES(told({"still", "voice"}), Error,
                       IsError(ErrorCode::kNotFound, "voice: no video stream"));
  const Told heard = told({"still", "voice", "still"}, true);
  CHECK(heard.result.tokens.visual_in == 2);
  REQUIRE(heard.result.warnings.size() == 1);
  CHECK(heard.result.warnings[0] == "no pictures: voice: no video stream");
  CHECK(told({"voice"}, true).result.tokens.visual_in == 0);
}

TEST_CASE("an answer in JSON is told as it is, and that it was cut off") {
  const Told all = told({"film"}, true, "{}");
  CHECK(all.result.text == R"({"seen":)");
  REQUIRE(all.result.warnings.size() == 1);
  CHECK(all.result.warnings[0] == "an answer was cut off after 3 tokens: its JSON is not whole");
  CHECK_THROWS_MATCHES(told({"no such file"}, false, R"({"enum": []})"), Error,
                       IsError(ErrorCode::kInvalidArgument, "json_schema: #: enum"));
}

}  // namespace lv::services
