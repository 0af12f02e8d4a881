#include "services/codec/codec.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>

#include "longview/v1/audio.pb.h"
#include "longview/v1/frames.pb.h"
#include "longview/v1/media.pb.h"
#include "longview/v1/prompt.pb.h"
#include "longview/v1/visual_tokens.pb.h"
#include "pipeline/base/error.h"
#include "tests/services/codec/samples.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

/// Through the message's bytes and back.
template <class Message, class T>
std::shared_ptr<Message> on_the_wire(const T& value) {
  Message sent;
  to_proto(value, &sent);
  auto received = std::make_shared<Message>();
  REQUIRE(received->ParseFromString(sent.SerializeAsString()));
  return received;
}

template <class Message, class T>
T round_trip(const T& value) {
  return from_proto(Received<Message>(on_the_wire<Message>(value)));
}

void check_same(const at::Tensor& got, const at::Tensor& expected) {
  CHECK(got.scalar_type() == expected.scalar_type());
  CHECK(at::equal(got, expected));
}

void check_same(const TokenOrigin& got, const TokenOrigin& expected) {
  check_same(got.pts_seconds, expected.pts_seconds);
  check_same(got.source, expected.source);
  check_same(got.box, expected.box);
  check_same(got.flags, expected.flags);
  check_same(got.tile, expected.tile);
}

/// The text of the error that reading a message throws, "" if it is read.
template <class Message>
std::string refusal(const Message& message) {
  try {
    from_proto(std::make_shared<const Message>(message));
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
}

TEST_CASE("a batch of frames survives the wire") {
  const FrameBatch batch = sample_frames();
  const FrameBatch got = round_trip<v1::FrameBatch>(batch);
  check_same(got.pixels, batch.pixels);
  check_same(got.pts_seconds, batch.pts_seconds);
  CHECK(got.media.kind == MediaKind::kVideo);
  CHECK(got.media.duration_seconds == 9.5);
  CHECK(got.media.width == 640);
  CHECK(got.media.height == 360);
  CHECK(got.warnings == batch.warnings);
  CHECK(got.source == 2);
  CHECK(got.film_frames == 9);
  CHECK(got.view == "rear left");
}

TEST_CASE("sound survives the wire") {
  const AudioChunk chunk = sample_sound();
  const AudioChunk got = round_trip<v1::AudioChunk>(chunk);
  check_same(got.samples, chunk.samples);
  CHECK(got.sample_rate_hz == 16000);
  CHECK(got.pts_seconds == -0.25);

  const AudioTokens tokens = sample_heard();
  const AudioTokens heard = round_trip<v1::AudioTokens>(tokens);
  check_same(heard.features, tokens.features);
  check_same(heard.pts_seconds, tokens.pts_seconds);
  REQUIRE(heard.speech.size() == 1);
  CHECK(heard.speech[0].start_seconds == 0.5);
  CHECK(heard.speech[0].end_seconds == 1.5);
  CHECK(heard.speech[0].text == "grüße");
  CHECK(heard.language == "de");
}

TEST_CASE("words without features survive the wire") {
  AudioTokens tokens;
  tokens.speech = {{0, 1, "words"}};
  const AudioTokens got = round_trip<v1::AudioTokens>(tokens);
  CHECK_FALSE(got.features.defined());
  CHECK(got.speech.size() == 1);
}

TEST_CASE("a clip survives the wire") {
  ClipTokens clip;
  clip.visual = sample_visual();
  clip.audio = sample_heard();
  clip.question = at::ones({2, 3}, at::kBFloat16);
  const ClipTokens got = round_trip<v1::ClipTokens>(clip);
  check_same(got.visual.features, clip.visual.features);
  check_same(got.visual.offsets, clip.visual.offsets);
  REQUIRE(got.visual.grids.size() == 2);
  CHECK(got.visual.grids[1].rows == 1);
  CHECK(got.visual.grids[1].columns == 3);
  REQUIRE(got.visual.labels.size() == 1);
  CHECK(got.visual.labels[0].picture == 1);
  CHECK(got.visual.labels[0].name == "tabby");
  CHECK(got.visual.labels[0].probability == 0.75);
  check_same(got.visual.origin, clip.visual.origin);
  check_same(got.visual.sizes, clip.visual.sizes);
  check_same(got.visual.saliency, clip.visual.saliency);
  REQUIRE(got.visual.reports.size() == 1);
  CHECK(got.visual.reports[0].tokens_in == 9);
  REQUIRE(got.audio);
  check_same(got.audio->features, clip.audio->features);
  REQUIRE(got.question);
  check_same(*got.question, *clip.question);

  clip.audio.reset();
  clip.question.reset();
  clip.visual.sizes = at::Tensor();
  clip.visual.saliency = at::Tensor();
  const ClipTokens bare = round_trip<v1::ClipTokens>(clip);
  CHECK_FALSE(bare.audio);
  CHECK_FALSE(bare.question);
  CHECK_FALSE(bare.visual.sizes.defined());
  CHECK_FALSE(bare.visual.saliency.defined());
}

TEST_CASE("both kinds of visual context survive the wire") {
  const VisualContext tokens = round_trip<v1::VisualContext>(VisualContext(sample_compressed()));
  const auto& got = std::get<CompressedTokens>(tokens);
  check_same(got.embeddings, sample_compressed().embeddings);
  check_same(got.sizes, sample_compressed().sizes);
  CHECK(got.pruning == sample_compressed().pruning);
  REQUIRE(got.reports.size() == 1);
  CHECK(got.reports[0].method == "tome");
  CHECK(got.reports[0].keep == 0.5);
  CHECK(got.reports[0].tokens_in == 4);
  CHECK(got.reports[0].tokens_out == 2);
  CHECK(got.reports[0].fidelity == 0.9);
  CHECK(got.reports[0].milliseconds == 1.5);

  const AdapterWeights weights{{"layers.0.q", at::ones({2, 3}), at::ones({4, 2})}};
  const VisualContext worn = round_trip<v1::VisualContext>(VisualContext(weights));
  const auto& deltas = std::get<AdapterWeights>(worn);
  REQUIRE(deltas.size() == 1);
  CHECK(deltas[0].target == "layers.0.q");
  check_same(deltas[0].up, weights[0].up);
  check_same(deltas[0].down, weights[0].down);
}

TEST_CASE("a prompt keeps the order of its parts on the wire") {
  const Prompt prompt = sample_prompt();
  const Prompt got = round_trip<v1::Prompt>(prompt);
  REQUIRE(got.messages.size() == 4);
  CHECK(got.messages[1].role == "user");
  REQUIRE(got.messages[1].parts.size() == 3);
  CHECK(std::get<std::string>(got.messages[1].parts[0]) == "before");
  CHECK(std::get<CompressedTokens>(got.messages[1].parts[1]).embeddings.size(0) == 2);
  CHECK(std::get<std::string>(got.messages[1].parts[2]) == "after");
  CHECK(got.options.max_tokens == 7);
  CHECK(got.options.temperature == 0.5);
  CHECK(got.options.top_k == 40);
  CHECK(got.options.top_p == 0.9);
  CHECK(got.options.min_p == 0.05);
  CHECK(got.options.repetition_penalty == 1.1);
  CHECK(got.options.seed == std::numeric_limits<uint64_t>::max());
  CHECK(got.options.stop == std::vector<std::string>{"\n\n"});
  REQUIRE(got.pointing);
  REQUIRE(got.pointing->cells.size() == 2);
  CHECK(got.pointing->cells[1].begin == 5);
  CHECK(got.pointing->cells[1].end == 9);
}

TEST_CASE("calls of tools survive the wire") {
  const Prompt prompt = sample_prompt();
  const Prompt got = round_trip<v1::Prompt>(prompt);
  REQUIRE(got.messages.size() == 4);
  REQUIRE(got.messages[2].tool_calls.size() == 1);
  const ToolCall& call = got.messages[2].tool_calls[0];
  CHECK(call.id == "call");
  CHECK(call.name == "clock");
  CHECK(call.arguments.dump() == R"({"zone":"CET","days":2.0})");
  CHECK(got.messages[3].tool_call_id == "call");
  CHECK(got.messages[3].tool_name == "clock");
  REQUIRE(got.tools.size() == 1);
  CHECK(got.tools[0].dump() == R"({"name":"clock","parameters":{}})");
}

TEST_CASE(
    "a JSON schema survives the wire, and is refused if it is large or has stop words beside it") {
  Prompt prompt = sample_prompt();
  prompt.options.stop.clear();
  prompt.options.json_schema = R"({"const": "é"})";
  CHECK(round_trip<v1::Prompt>(prompt).options.json_schema == R"({"const": "é"})");
  prompt.options.stop = {"."};
  CHECK_THROWS_WITH(round_trip<v1::Prompt>(prompt), Catch::Contains("stop: expected none"));
  prompt.options.stop.clear();
  prompt.options.json_schema.assign((1 << 16) + 1, ' ');
  CHECK_THROWS_WITH(round_trip<v1::Prompt>(prompt),
                    Catch::Contains("json_schema: expected at most 65536 bytes, got 65537"));
}

TEST_CASE("a grammar survives the wire") {
  Prompt prompt = sample_prompt();
  prompt.options.stop.clear();
  prompt.options.grammar = "root ::= \"é\"";
  CHECK(round_trip<v1::Prompt>(prompt).options.grammar == prompt.options.grammar);
}

TEST_CASE("generation options that are absent have their defaults") {
  const GenerationOptions options = from_proto(v1::GenerationOptions());
  CHECK(options.max_tokens == GenerationOptions().max_tokens);
  CHECK(options.top_p == 1);
  CHECK(options.repetition_penalty == 1);
}

TEST_CASE("a piece of text survives the wire") {
  const TextDelta delta{3, "héllo", true, FinishReason::kLength, 12, 34, 5, Pointed{{7, 2}, 0.5}};
  const TextDelta got = from_proto(*on_the_wire<v1::TextDelta>(delta));
  CHECK(got.sequence == 3);
  CHECK(got.text == "héllo");
  CHECK(got.last);
  CHECK(got.finish == FinishReason::kLength);
  CHECK(got.prompt_tokens == 12);
  CHECK(got.generated_tokens == 34);
  CHECK(got.cached_tokens == 5);
  REQUIRE(got.pointed);
  CHECK(got.pointed->rows == std::vector<int64_t>{7, 2});
  CHECK(got.pointed->confidence == 0.5);
}

TEST_CASE("every sampling rule survives the wire") {
  Sampling sampling;
  sampling.start_seconds = 1.5;
  sampling.end_seconds = 2.5;
  const auto sent = [&](SamplingRule rule) {
    sampling.rule = std::move(rule);
    const Sampling got = from_proto(*on_the_wire<v1::Sampling>(sampling));
    CHECK(got.start_seconds == 1.5);
    CHECK(got.end_seconds == 2.5);
    return got.rule;
  };
  CHECK(std::get<UniformFrames>(sent(UniformFrames{5})).count == 5);
  CHECK(std::holds_alternative<UsualFrames>(sent(UsualFrames{})));
  const auto paced = std::get<PacedFrames>(sent(PacedFrames{2, 4, 768, 2, true, 1.5}));
  CHECK((paced.rate == 2 && paced.least == 4 && paced.most == 768));
  CHECK((paced.multiple == 2 && paced.to_the_end && paced.skip_seconds == 1.5));
  CHECK(std::get<FramesPerSecond>(sent(FramesPerSecond{0.5})).rate == 0.5);
  CHECK(std::get<FramesAt>(sent(FramesAt{{1, 2.25}})).seconds == std::vector<double>{1, 2.25});
  CHECK(std::holds_alternative<KeyFrames>(sent(KeyFrames{})));
  CHECK(std::get<SceneChanges>(sent(SceneChanges{0.4})).threshold == 0.4);
}

TEST_CASE("impossible samplings are refused") {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const std::vector<SamplingRule> rules{
      UniformFrames{0}, FramesPerSecond{0},   FramesPerSecond{not_a_number},
      FramesAt{{}},     FramesAt{{1, -1}},    SceneChanges{1.5},
      PacedFrames{0},   PacedFrames{1, 9, 8}, PacedFrames{1, 1, 8, 9}};
  for (const SamplingRule& rule : rules) {
    v1::Sampling message;
    to_proto(Sampling{rule, 0, std::nullopt}, &message);
    CHECK_THROWS_AS(from_proto(message), Error);
  }
  v1::Sampling message;
  to_proto(Sampling{KeyFrames{}, 2, 1}, &message);
  CHECK_THROWS_WITH(from_proto(message), Catch::Contains("sampling.end_seconds"));
}

TEST_CASE("a server's ceilings win over a request's") {
  MediaLimits ceilings;
  ceilings.max_frames = 10;
  ceilings.max_bytes = 1000;
  v1::MediaLimits asked;
  asked.set_max_frames(1 << 30);
  asked.set_max_bytes(100);
  asked.set_max_pages(1 << 30);
  asked.set_max_text_bytes(7);
  const MediaLimits limits = from_proto(asked, ceilings);
  CHECK(limits.max_frames == 10);
  CHECK(limits.max_bytes == 100);
  CHECK(limits.max_seconds == ceilings.max_seconds);
  CHECK(limits.max_pages == ceilings.max_pages);
  CHECK(limits.max_text_bytes == 7);
  asked.set_max_frames(-1);
  CHECK_THROWS_WITH(from_proto(asked, ceilings), Catch::Contains("limits.max_frames"));
}

TEST_CASE("a compression spec survives the wire") {
  const CompressionSpec got =
      from_proto(*on_the_wire<v1::CompressionSpec>(CompressionSpec{"tome", {{"keep", "0.3"}}}));
  CHECK(got.method == "tome");
  CHECK(got.params == std::map<std::string, std::string>{{"keep", "0.3"}});
  CHECK_THROWS_AS(from_proto(v1::CompressionSpec()), Error);
}

TEST_CASE("text that is no UTF-8 does not make a message unreadable") {
  FrameBatch batch = sample_frames();
  batch.warnings = {"caf\xE9.mp4: broken"};
  CHECK(round_trip<v1::FrameBatch>(batch).warnings ==
        std::vector<std::string>{"caf\xEF\xBF\xBD.mp4: broken"});
}

TEST_CASE("messages that break a type's rules are refused by field") {
  v1::FrameBatch frames;
  CHECK_THAT(refusal(frames), Catch::StartsWith("frames.pixels"));
  to_proto(sample_frames(), &frames);
  frames.clear_pts_seconds();
  CHECK_THAT(refusal(frames), Catch::StartsWith("frames.pts_seconds"));
  to_proto(sample_frames(), &frames);
  frames.mutable_media()->set_duration_seconds(std::numeric_limits<double>::infinity());
  CHECK_THAT(refusal(frames), Catch::StartsWith("media.duration_seconds"));
  to_proto(sample_frames(), &frames);
  frames.set_source(-1);
  CHECK_THAT(refusal(frames), Catch::StartsWith("frames.source"));

  v1::AudioChunk sound;
  to_proto(sample_sound(), &sound);
  sound.set_sample_rate_hz(0);
  CHECK_THAT(refusal(sound), Catch::StartsWith("audio.sample_rate_hz"));

  v1::VisualTokens visual;
  to_proto(sample_visual(), &visual);
  visual.mutable_grids(0)->set_rows(-1);
  CHECK_THAT(refusal(visual), Catch::StartsWith("visual.grids"));
  to_proto(sample_visual(), &visual);
  visual.mutable_origin()->clear_box();
  CHECK_THAT(refusal(visual), Catch::StartsWith("origin.box"));

  CHECK_THAT(refusal(v1::VisualContext()), Catch::StartsWith("context"));

  v1::Prompt prompt;
  CHECK_THAT(refusal(prompt), Catch::StartsWith("prompt.messages"));
  to_proto(sample_prompt(), &prompt);
  prompt.mutable_messages(0)->add_parts();
  CHECK_THAT(refusal(prompt), Catch::StartsWith("prompt.messages.parts"));
  to_proto(sample_prompt(), &prompt);
  prompt.mutable_options()->set_repetition_penalty(std::numeric_limits<double>::infinity());
  CHECK_THAT(refusal(prompt), Catch::StartsWith("repetition_penalty"));
  to_proto(sample_prompt(), &prompt);
  prompt.mutable_messages(2)->mutable_tool_calls(0)->set_arguments("{\"zone\":");
  CHECK_THAT(refusal(prompt), Catch::StartsWith("prompt.messages.tool_calls"));
  to_proto(sample_prompt(), &prompt);
  prompt.add_tools("[]");
  CHECK_THAT(refusal(prompt), Catch::StartsWith("prompt.tools"));
}

}  // namespace
}  // namespace lv::services
