#include "services/tasks/risk.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/camera_views.h"
#include "tests/support/is_error.h"
#include "vision/compressors/compressors.h"
#include "vision/decode/decode.h"

namespace lv::services {
namespace {

MediaRequest view(const std::string& name) {
  MediaRequest request;
  request.view = name;
  return request;
}

/// A film of 16 x 16 pictures at five a second, `grey` of 0 to 255 each, in YUV4MPEG2.
MediaRequest film(const std::string& name, const std::vector<int>& grey) {
  std::string bytes = "YUV4MPEG2 W16 H16 F5:1 Ip C420jpeg\n";
  for (const int each : grey) {
    bytes += "FRAME\n" + std::string(256, static_cast<char>(each)) + std::string(128, '\x80');
  }
  MediaRequest request = view(name);
  request.media = std::make_shared<const std::string>(bytes);
  request.name = name + ".y4m";
  request.sampling.rule = UsualFrames{};
  return request;
}

/// One token a picture: how bright it is.
class Brightness : public MapStage<FrameBatch, VisualTokens> {
 public:
  VisualTokens map(FrameBatch batch) const override {
    const int64_t count = batch.pixels.size(0);
    VisualTokens tokens;
    tokens.features = batch.pixels.to(at::kFloat).mean({1, 2, 3}).unsqueeze(1);
    tokens.offsets = at::arange(count + 1, at::kInt);
    tokens.grids.assign(static_cast<size_t>(count), {1, 1});
    tokens.origin = {batch.pts_seconds, at::full({count}, batch.source, at::kInt),
                     at::ones({count, 4}), at::full({count}, kObserved, at::kByte),
                     at::zeros({count, 2}, at::kInt)};
    views.push_back(batch.view);
    return tokens;
  }

  mutable std::vector<std::string> views;
};

/// Fears what is bright: in the view that the grammar knows last.
class Afraid : public MapStage<Prompt, TextDelta> {
 public:
  TextDelta map(Prompt prompt) const override {
    asked = std::get<std::string>(prompt.messages.front().parts.back());
    grammar = prompt.options.grammar;
    double brightest = 0;
    for (const PromptPart& part : prompt.messages.front().parts) {
      const auto* tokens = std::get_if<CompressedTokens>(&part);
      if (tokens != nullptr) brightest = tokens->embeddings.max().item<double>();
    }
    TextDelta delta;
    delta.text = brightest > 150
                     ? "level: high; object: red car; view: rear; reason: it is close; advice: "
                       "brake now"
                     : "level: low; object: none; view: none; reason: nothing is near; advice: "
                       "keep going";
    delta.last = true;
    return delta;
  }

  mutable std::string asked, grammar;
};

/// The bytes that hexadecimal digits spell.
std::string bytes_of(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

struct Assessed {
  TaskResult result;
  std::vector<std::string> views;
  std::string asked, grammar;
};

Assessed assessed(const std::vector<MediaRequest>& views, const std::string& question = "") {
  const auto encode = std::make_shared<Brightness>();
  const auto generate = std::make_shared<Afraid>();
  Stages stages;
  stages.decode_video = vision::make_video_decode();
  stages.encode = [encode](const auto&) { return encode; };
  stages.compress = [](const auto&) { return vision::make_keep_all({}); };
  stages.generate = generate;
  stages.films.pictures_first = true;
  RiskRequest request;
  request.views = views;
  request.question = question;
  Assessed all;
  all.result = RiskAssessor(stages, "tiny").assess(request);
  all.views = encode->views;
  all.asked = generate->asked;
  all.grammar = generate->grammar;
  return all;
}

bool warns(const TaskResult& result, const std::string& text) {
  return std::ranges::any_of(result.warnings, [&](const std::string& each) {
    return each.find(text) != std::string::npos;
  });
}

std::vector<int> rising(int count) {
  std::vector<int> grey;
  for (int i = 0; i < count; ++i) grey.push_back(60 + 2 * i);
  return grey;
}

TEST_CASE("the worst part of a film is its risk, in the words of the request") {
  const Assessed all = assessed({film("back", rising(70))});
  CHECK(all.views.front() == "rear");
  CHECK(all.asked == "\nAssess the risk.");
  CHECK_THAT(all.grammar, Catch::Contains("view ::= \"none\" | \"rear\"\n"));
  REQUIRE(all.result.segments.size() == 4);
  REQUIRE(all.result.risk);
  CHECK(all.result.risk->level == "high");
  CHECK(all.result.risk->view == "back");
  CHECK(all.result.risk->start_seconds == Approx(7));
  CHECK(all.result.text == "High risk in view back: it is close. Brake now.");
  CHECK_THAT(all.result.segments[0].text, Catch::StartsWith("Low risk: nothing is near."));
  CHECK(all.result.warnings.empty());
  CHECK(all.result.task == "risk");
}

TEST_CASE("views are judged in the order of the rig, as far as all of them reach") {
  const Assessed all = assessed({film("rear", rising(20)), film("front", rising(10))});
  CHECK(all.views == std::vector<std::string>{"front", "rear"});
  CHECK(warns(all.result, "views differ in length: judged up to 2.0 of 4.0 seconds"));
  CHECK(all.result.segments.size() == 1);
}

TEST_CASE("a film whose file does not tell how long it is, is judged as one") {
  // An animated PNG of 4 x 4 pixels, grey 60 and 90, by models/nano/recipe/film.py.
  const std::string digits =
      "89504e470d0a1a0a0000000d49484452000000040000000408020000002693092900000008616354"
      "4c0000000200000000f38d93700000001a6663544c00000000000000040000000400000000000000"
      "00002800640000d9eaa8be0000001149444154780163b041020c486c1bdc1c0024c30b41f0ae05e0"
      "0000001a6663544c00000001000000040000000400000000000000000028006400004299426a0000"
      "001566644154000000027801638842020c48ec28dc1c00b70310e1149c46ab0000000049454e44ae"
      "426082";
  MediaRequest request = view("front");
  request.media = std::make_shared<const std::string>(bytes_of(digits));
  request.name = "front.png";
  request.sampling.rule = UsualFrames{};
  const Assessed all = assessed({request});
  REQUIRE(all.result.risk);
  CHECK(all.result.risk->level == "low");
  CHECK(!all.result.risk->end_seconds);
  CHECK(all.result.sampling.size() == 2);
  CHECK(all.result.segments.size() == 1);
}

TEST_CASE("black and frozen cameras and lone pictures are told of") {
  const Assessed black = assessed({film("front", rising(10)), film("rear", std::vector(10, 16))});
  CHECK(warns(black.result, "view rear: black"));
  CHECK(
      warns(assessed({film("front", std::vector(10, 90))}).result, "view front: nothing changes"));
  CHECK(warns(assessed({film("front", {90})}).result, "view front: one picture"));
  CHECK_THROWS_MATCHES(assessed({film("front", std::vector(10, 0))}), Error,
                       IsError(ErrorCode::kFailedPrecondition, "black pictures alone"));
}

TEST_CASE("a question is answered about the whole film, in any words") {
  const Assessed all = assessed({film("front", rising(70))}, "Is it far?");
  CHECK(all.asked == "\nIs it far?");
  CHECK(all.grammar.empty());
  CHECK(!all.result.risk);
  CHECK(all.result.segments.size() == 1);
}

TEST_CASE("views have several names") {
  CHECK(camera_view("front") == "front");
  CHECK(camera_view("left") == "front left");
  CHECK(camera_view("rear-left") == "rear left");
  CHECK(camera_view("back_right") == "rear right");
  CHECK_THROWS_MATCHES(camera_view("top"), Error,
                       IsError(ErrorCode::kInvalidArgument, "view 'top': expected one of front"));
}

TEST_CASE("an assessment is read as it is written") {
  const Risk risk = read_assessment(
      "level: high; object: red car; view: front left; reason: a red car brakes ahead of us and we "
      "would meet in about 1.5 seconds; advice: brake now");
  CHECK(risk.level == "high");
  CHECK(risk.object == "red car");
  CHECK(risk.view == "front left");
  CHECK(risk.reason == "a red car brakes ahead of us and we would meet in about 1.5 seconds");
  CHECK(risk.advice == "brake now");
  const Risk none = read_assessment(
      "level: low; object: none; view: none; reason: nothing is on a collision course with us; "
      "advice: keep going");
  CHECK(none.object.empty());
  CHECK(none.view.empty());
  // Whatever the grammar allows can be read.
  CHECK(read_assessment("level: low; object: none; view: none; reason: none; advice: keep going")
            .reason == "none");
  for (const char* odd : {"", "level: high", "level: huge; reason: x; advice: y", "no colon"}) {
    CHECK_THROWS_MATCHES(read_assessment(odd), Error,
                         IsError(ErrorCode::kInternal, "risk: expected an assessment"));
  }
}

TEST_CASE("a rig has at least one view, each once, all of known names") {
  const RiskAssessor assessor({}, "none");
  CHECK_THROWS_MATCHES(assessor.assess({}), Error,
                       IsError(ErrorCode::kInvalidArgument, "at least one view"));
  CHECK_THROWS_MATCHES(assessor.assess({{view("left"), view("front-left")}, {}, {}}), Error,
                       IsError(ErrorCode::kInvalidArgument, "front left: expected one film"));
  CHECK_THROWS_MATCHES(assessor.assess({{view("front"), view("inside")}, {}, {}}), Error,
                       IsError(ErrorCode::kInvalidArgument, "view 'inside'"));
}

}  // namespace
}  // namespace lv::services
