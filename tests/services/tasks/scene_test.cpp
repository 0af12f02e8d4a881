#include "services/tasks/scene.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

namespace lv::services {
namespace {

TaskResult ten_seconds() {
  TaskResult result;
  result.sources = {{"a.mp4", {MediaKind::kVideo, 10, 64, 48}}};
  result.sampling = {{0, 1}, {0, 8}};
  result.transcript = {{0.5, 2, "One."}, {4, 7, "Two."}};
  result.screen_text = {{0, 3, "EXIT", {}}};
  return result;
}

VisualTokens two_frames() {
  VisualTokens tokens;
  tokens.features = at::ones({2, 3});
  tokens.offsets = at::tensor({0, 1, 2}, at::kInt);
  tokens.grids = {{1, 1}, {1, 1}};
  tokens.origin = {at::tensor({1.0, 8.0}, at::kDouble), at::zeros({2}, at::kInt), at::zeros({2, 4}),
                   at::full({2}, kObserved, at::kByte), at::zeros({2, 2}, at::kInt)};
  tokens.labels = {{0, "cat", 0.6}, {0, "dog", 0.2}, {0, "gnu", 0.01}, {1, "cat", 0.3}};
  return tokens;
}

CompressedTokens all_of(const VisualTokens& visual) {
  return {visual.features, at::ones({visual.features.size(0)}), visual.origin, {}};
}

TEST_CASE("scenes cut the film evenly and hold what belongs to their time") {
  const VisualTokens visual = two_frames();
  const std::vector<Scene> scenes = scenes_of(ten_seconds(), visual, all_of(visual));
  REQUIRE(scenes.size() == 2);
  CHECK(scenes[0].start_seconds == 0);
  CHECK(scenes[0].end_seconds == 5);
  CHECK(scenes[0].tokens.embeddings.size(0) == 1);
  CHECK(scenes[0].labels == std::vector<std::string>{"cat", "dog"});
  CHECK(scenes[0].said == std::vector<std::string>{"One."});
  CHECK(scenes[0].written == std::vector<std::string>{"EXIT"});
  CHECK(scenes[1].labels == std::vector<std::string>{"cat"});
  CHECK(scenes[1].said == std::vector<std::string>{"Two."});
  CHECK(scenes[1].written.empty());
}

TEST_CASE("every token and every word lands in exactly one scene") {
  const VisualTokens visual = two_frames();
  const double seconds = GENERATE(0.7, 1.0, 3.3, 20.0);
  int64_t rows = 0;
  size_t words = 0;
  for (const Scene& scene : scenes_of(ten_seconds(), visual, all_of(visual), seconds, 100)) {
    rows += scene.tokens.embeddings.size(0);
    words += scene.said.size();
  }
  CHECK(rows == 2);
  CHECK(words == 2);
}

TEST_CASE("a picture is one scene without times") {
  TaskResult result;
  result.sources = {{"a.png", {MediaKind::kPicture, 0, 64, 48}}};
  result.sampling = {{0, 0}};
  result.screen_text = {{0, 0, "OPEN", {}}};
  VisualTokens visual = two_frames();
  visual.labels.clear();
  const std::vector<Scene> scenes = scenes_of(result, visual, CompressedTokens());
  REQUIRE(scenes.size() == 1);
  CHECK(scenes[0].still);
  const Message message = message_about(scenes, "Describe it.");
  REQUIRE(message.parts.size() == 2);
  CHECK(std::get<std::string>(message.parts[0]) == "A picture\nWritten: \"OPEN\"");
  CHECK(std::get<std::string>(message.parts[1]) == "\nDescribe it.");
}

TEST_CASE("a model that was trained so reads all frames of a film before its words") {
  TaskResult result = ten_seconds();
  result.transcript.pop_back();
  VisualTokens visual = two_frames();
  visual.labels.clear();
  const std::vector<Scene> scenes = scenes_of(result, visual, all_of(visual));
  FilmManner films;
  films.opening = [](int64_t frames, double seconds) {
    return std::to_string(frames) + " of " + std::to_string(static_cast<int>(seconds)) + ": ";
  };
  const Message message = message_about(scenes, "Describe it.", films);
  REQUIRE(message.parts.size() == 4);
  CHECK(std::get<std::string>(message.parts[0]) == "2 of 10: ");
  CHECK(std::get<CompressedTokens>(message.parts[1]).embeddings.size(0) == 2);
  CHECK(std::get<std::string>(message.parts[2]) ==
        "\nFrom 0.0 to 5.0 seconds\nSaid: \"One.\"\nWritten: \"EXIT\"");
  CHECK(std::get<std::string>(message.parts[3]) == "\nDescribe it.");
  result.transcript.clear();
  result.screen_text.clear();
  const Message bare = message_about(scenes_of(result, visual, all_of(visual)), "Say.", films);
  REQUIRE(bare.parts.size() == 3);
  CHECK(std::get<std::string>(bare.parts[2]) == "Say.");
}

TEST_CASE("a clip as a whole is its tokens, what is known of them, and the request") {
  VisualTokens visual = two_frames();
  visual.labels = {{0, "dog", 0.2}, {0, "gnu", 0.01}, {1, "cat", 0.3}};
  TaskResult result = ten_seconds();
  result.screen_text.push_back({6, 8, "10:45", {}});
  const std::vector<Scene> scenes = scenes_of(result, visual, all_of(visual));
  const Scene clip = whole_clip(scenes, visual, all_of(visual));
  CHECK(clip.end_seconds == 10);
  const Message message = message_about_clip(clip, "What happens?");
  REQUIRE(message.parts.size() == 2);
  CHECK(std::get<CompressedTokens>(message.parts[0]).embeddings.size(0) == 2);
  CHECK(std::get<std::string>(message.parts[1]) ==
        "\nSeen: cat, dog.\nSaid: \"One. Two.\"\nWritten:\nEXIT\n10:45\nWhat happens?");
  const Message bare = message_about_clip(Scene(), "What happens?");
  REQUIRE(bare.parts.size() == 1);
  CHECK(std::get<std::string>(bare.parts[0]) == "\nWhat happens?");
}

TEST_CASE("what is usual for films is what the model was trained with") {
  FilmManner films;
  CHECK(std::get<UniformFrames>(films.chosen(UsualFrames{})).count == 8);
  CHECK(std::get<UniformFrames>(films.chosen(UniformFrames{3})).count == 3);
  films.frames = PacedFrames{2, 4, 768, 2};
  CHECK(std::get<PacedFrames>(films.chosen(UsualFrames{})).most == 768);
  CHECK(films.whole());
}

TEST_CASE("a message puts each scene's tokens between its time and its words") {
  const VisualTokens visual = two_frames();
  const Message message =
      message_about(scenes_of(ten_seconds(), visual, all_of(visual)), "What is it?");
  REQUIRE(message.parts.size() == 7);
  CHECK(std::get<std::string>(message.parts[0]) == "From 0.0 to 5.0 seconds: ");
  CHECK(std::holds_alternative<CompressedTokens>(message.parts[1]));
  CHECK(std::get<std::string>(message.parts[2]) ==
        "\nSeen: cat, dog.\nSaid: \"One.\"\nWritten: \"EXIT\"");
  CHECK(std::get<std::string>(message.parts[6]) == "\nWhat is it?");
}

TEST_CASE("the finished text ends with whole sentences and quotes what was said and written") {
  const VisualTokens visual = two_frames();
  const std::vector<Scene> scenes = scenes_of(ten_seconds(), visual, all_of(visual));
  CHECK(with_quotes(" A cat sleeps. It dre", scenes) ==
        "A cat sleeps. A voice says: \"One. Two.\" Text in the picture: \"EXIT\"");
  CHECK(with_quotes("", {}).empty());
  CHECK(with_quotes("no stop at all", {}) == "no stop at all.");
}

}  // namespace
}  // namespace lv::services
