#include "services/tasks/examiner.h"

#include <ATen/ATen.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "tests/support/is_error.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/trained.h"
#include "vision/decode/decode.h"

namespace lv::services {
namespace {

constexpr const char* kAssessment =
    "level: high; object: red car; view: front; reason: it is close; advice: brake now";

/// Pictures of 16 x 16 at five a second, the first of them grey, the others brighter.
MediaRequest film(const std::string& view, int64_t count) {
  std::string bytes = "YUV4MPEG2 W16 H16 F5:1 Ip C420jpeg\n";
  for (int64_t i = 0; i < count; ++i) {
    bytes += "FRAME\n" + std::string(256, static_cast<char>(60 + 9 * i)) + std::string(128, '\x80');
  }
  MediaRequest request;
  request.media = std::make_shared<const std::string>(bytes);
  request.name = view + ".y4m";
  request.view = view;
  request.sampling.rule = UniformFrames{count};
  return request;
}

/// Ten tokens a picture.
class Squares : public MapStage<FrameBatch, VisualTokens> {
 public:
  VisualTokens map(FrameBatch batch) const override {
    ++runs;
    documents += batch.media.kind == MediaKind::kDocument ? 1 : 0;
    const int64_t pictures = batch.pixels.size(0), count = 10 * pictures;
    VisualTokens tokens;
    tokens.features = at::arange(3 * count, at::kFloat).view({count, 3}).sin();
    tokens.offsets = 10 * at::arange(pictures + 1, at::kInt);
    tokens.grids.assign(static_cast<size_t>(pictures), {2, 5});
    tokens.origin = {batch.pts_seconds.repeat_interleave(10),
                     at::full({count}, batch.source, at::kInt), at::ones({count, 4}),
                     at::full({count}, kObserved, at::kByte), at::zeros({count, 2}, at::kInt)};
    return tokens;
  }

  mutable std::atomic<int> runs{0}, documents{0};
};

/// Repeats what it is asked, and how many visual tokens it sees; assesses where it has to.
class Echo : public MapStage<Prompt, TextDelta> {
 public:
  TextDelta map(Prompt prompt) const override {
    int64_t tokens = 0;
    for (const PromptPart& part : prompt.messages.front().parts) {
      const auto* some = std::get_if<CompressedTokens>(&part);
      if (some != nullptr) tokens += some->embeddings.size(0);
    }
    TextDelta delta;
    if (prompt.pointing) delta.pointed = Pointed{{1}, 0.5};
    delta.text =
        prompt.options.grammar.empty()
            ? std::to_string(tokens) + std::get<std::string>(prompt.messages.front().parts.back())
            : kAssessment;
    delta.last = true;
    return delta;
  }
};

struct Room {
  std::shared_ptr<Squares> encode = std::make_shared<Squares>();

  Examiner examiner() const {
    Stages stages;
    stages.decode_video = vision::make_video_decode();
    stages.encode = [encode = encode](const auto&) { return encode; };
    stages.compress = [](const std::vector<CompressionSpec>& specs) -> vision::CompressorPtr {
      if (specs.empty()) return vision::make_keep_all({});
      return vision::make_compressor(specs.at(0).method, Params(specs.at(0).params), {});
    };
    stages.generate = std::make_shared<Echo>();
    stages.films.pictures_first = true;
    return {stages, "tiny"};
  }
};

Json question(const std::string& kind, const std::string& text) {
  Json line;
  line.set("kind", kind);
  line.set("question", text);
  line.set("answer", "true");
  return line;
}

std::vector<std::string> texts_of(const Json::Array& lines) {
  std::vector<std::string> texts;
  for (const Json& line : lines) texts.push_back(line.at("text").as_string());
  return texts;
}

TEST_CASE("an item is looked at once, and answered with each share of its tokens") {
  const Room room;
  DrawnItem item{{film("front", 4)}, {0, 0.2, 0.4, 0.6}, "driving", "Mind the step.", {}, {}};
  item.questions = {question("caption short", "What is this?"), question("assess", "Judge it."),
                    question("light", "Which colour?")};
  const Json::Array lines = room.examiner().answers(item, {1, 0.5});
  CHECK(texts_of(lines) ==
        std::vector<std::string>{"40\nSaid: \"Mind the step.\"\nWhat is this?", kAssessment,
                                 "40\nSaid: \"Mind the step.\"\nWhich colour?",
                                 "20\nSaid: \"Mind the step.\"\nWhat is this?", kAssessment,
                                 "20\nSaid: \"Mind the step.\"\nWhich colour?"});
  CHECK(lines[3].at("keep").as_double() == 0.5);
  CHECK(lines[3].at("answer").as_string() == "true");
  CHECK(room.encode->runs == 1);
}

TEST_CASE("a drawn page is looked at as a document, and told as it is written") {
  const Room room;
  DrawnItem item{{film("page", 1)}, {0}, "pages", "", {}, {}};
  item.cells = {{"Total", {}, 0}, {"12.50", {}, 0}, {"Thank you", {}, 1}};
  item.cells[1].box = {0.5F, 0.25F, 1, 0.5F};
  item.questions = {question("invoice", "What is the total?")};
  item.questions[0].set("evidence", Json::Array{"shown"});
  const Json::Array lines = room.examiner().answers(item, {1});
  CHECK(lines[0].at("box").dump() == "[0.5,0.25,1.0,0.5]");
  CHECK(texts_of(lines) ==
        std::vector<std::string>{"10\nWritten:\nTotal | 12.50\nThank you\nWhat is the total?"});
  CHECK(room.encode->documents == 1);
}

TEST_CASE("a film that is not the recipe's is refused") {
  DrawnItem item{{film("front", 4)}, {0, 0.2, 0.4, 0.7}, "driving", "", {}, {}};
  item.questions = {question("light", "Which colour?")};
  CHECK_THROWS_MATCHES(Room().examiner().answers(item, {1}), Error,
                       IsError(ErrorCode::kDataLoss, "front.y4m: expected 4 pictures"));
}

TEST_CASE("items are read as their recipe writes them") {
  const std::string line = R"({"films": ["0-0.png"], "views": ["page"], "times": [0.0],
      "transcript": "", "cells": [{"text": "a", "box": [0, 0.25, 0.5, 1], "row": 2}],
      "lines": [{"task": "pages", "kind": "letter", "question": "Who?"}]})";
  const DrawnItem item = drawn_item(parse_json(line, "line"), "/drawn");
  CHECK(std::get<std::string>(item.views[0].media) == "/drawn/0-0.png");
  CHECK(item.views[0].view == "page");
  CHECK(item.task == "pages");
  CHECK(item.cells[0].box == std::array<float, 4>{0, 0.25, 0.5, 1});
  CHECK(item.cells[0].row == 2);
  const auto without = [&](const std::string& part, const std::string& other) {
    std::string changed = line;
    return drawn_item(parse_json(changed.replace(changed.find(part), part.size(), other), "line"),
                      "/drawn");
  };
  CHECK_THROWS_MATCHES(without("\"views\": [\"page\"]", "\"views\": []"), Error,
                       IsError(ErrorCode::kInvalidArgument, "films: expected one for each view"));
  CHECK_THROWS_MATCHES(without("[0, 0.25, 0.5, 1]", "[0, 1]"), Error,
                       IsError(ErrorCode::kInvalidArgument, "cells.box: expected 4 numbers"));
  CHECK_THROWS_MATCHES(without("\"transcript\"", "\"other\""), Error,
                       IsError(ErrorCode::kInvalidArgument, "transcript"));
}

}  // namespace
}  // namespace lv::services
