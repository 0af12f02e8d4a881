#include "audio/encoders/whisper.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "audio/encoders/ctranslate2_whisper.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::audio {
namespace {

// The checkpoint and the inputs of tests/data/audio/make_goldens.py.
Checkpoint tiny_checkpoint() { return open_checkpoint(data("tests/data/audio/tiny_whisper")); }

at::Tensor golden(const std::string& name) {
  const auto store = open_safetensors(data("tests/data/audio/tiny_whisper.safetensors"));
  return std::get<at::Tensor>(store->get(name));
}

at::Tensor golden_ids() {
  return at::tensor({3, 7, 52, 9, 11, 3, 40, 0, 1, 2}, at::kLong).view({2, 5});
}

}  // namespace

TEST_CASE("whisper equals the reference implementation") {
  const Whisper whisper(tiny_checkpoint());
  const at::Tensor encoded = whisper.encode(lcg_tensor(1, {2, 8, 20}));
  CHECK_THAT(encoded, CloseTo(golden("encoder"), 1e-4, 1e-5));
  WhisperMemory memory = whisper.remember(encoded);
  const at::Tensor logits = whisper.logits(whisper.decode(golden_ids(), memory));
  CHECK_THAT(logits, CloseTo(golden("logits"), 1e-4, 1e-5));
  CHECK(memory.length() == 5);
}

TEST_CASE("whisper says the same token by token as at once") {
  const Whisper whisper(tiny_checkpoint());
  const at::Tensor encoded = whisper.encode(lcg_tensor(1, {2, 8, 20}));
  WhisperMemory memory = whisper.remember(encoded);
  std::vector<at::Tensor> steps;
  for (const auto& [from, to] : {std::pair{0, 2}, std::pair{2, 4}, std::pair{4, 5}}) {
    steps.push_back(whisper.decode(golden_ids().slice(1, from, to), memory));
  }
  // Sums of other lengths round otherwise.
  CHECK_THAT(whisper.logits(at::cat(steps, 1)), CloseTo(golden("logits"), 1e-4, 1e-5));
}

TEST_CASE("whisper forgets what it rewinds over") {
  const Whisper whisper(tiny_checkpoint());
  WhisperMemory memory = whisper.remember(whisper.encode(lcg_tensor(1, {2, 8, 20})));
  whisper.decode(golden_ids().slice(1, 0, 3), memory);
  const at::Tensor first = whisper.decode(golden_ids().slice(1, 3, 5), memory);
  memory.rewind(3);
  CHECK_THAT(whisper.decode(golden_ids().slice(1, 3, 5), memory), CloseTo(first));
  CHECK_THROWS_WITH(memory.rewind(6), "whisper memory: expected 0 to 5 tokens, got 6");
}

TEST_CASE("whisper refuses what it has no place for") {
  const Whisper whisper(tiny_checkpoint());
  CHECK_THROWS_WITH(whisper.encode(at::zeros({1, 8, 19})),
                    "features: expected [*, 8, 20], got [1, 8, 19]");
  WhisperMemory memory = whisper.remember(whisper.encode(at::zeros({1, 8, 20})));
  CHECK_THROWS_WITH(whisper.decode(at::zeros({1, 13}, at::kLong), memory),
                    "whisper decoder: expected 1 to 12 tokens, got 13");
  CHECK_THROWS_WITH(whisper.decode(at::full({1, 1}, 53, at::kLong), memory),
                    "ids: expected ids from 0 to 52, got 53");
  CHECK_THROWS_WITH(whisper.decode(at::full({1, 1}, -1, at::kLong), memory),
                    "ids: expected ids from 0 to 52, got -1");
  CHECK_THROWS_WITH(whisper.decode(at::zeros({2, 1}, at::kLong), memory),
                    "ids: expected [1, *], got [2, 1]");
  CHECK(memory.length() == 0);
}

TEST_CASE("whisper says which key of its configuration is wrong") {
  const auto with = [](const char* key, Json value) {
    Json config = tiny_checkpoint().config();
    config.set(key, std::move(value));
    return Checkpoint("tiny", config,
                      open_safetensors_folder(data("tests/data/audio/tiny_whisper")));
  };
  CHECK_THROWS_WITH(Whisper(with("d_model", 0)),
                    "config.json: d_model: expected 1 to 16777216, got 0");
  CHECK_THROWS_WITH(Whisper(with("decoder_attention_heads", 3)),
                    "config.json: expected d_model to be a multiple of the heads, got 16 and 3");
  CHECK_THROWS_WITH(Whisper(with("activation_function", "relu")),
                    "config.json: activation_function: expected gelu");
  CHECK_THROWS_AS(Whisper(with("encoder_layers", 3)), Error);  // no such tensor
  CHECK_THROWS_AS(Whisper(with("encoder_layers", 1)), Error);  // tensors are left over
  CHECK_THROWS_AS(Whisper(with("vocab_size", 54)), Error);     // another shape
}

TEST_CASE("whisper reads CTranslate2's layout", "[models]") {
  const Checkpoint checkpoint = open_whisper(data(".deps/models/whisper-tiny.en"));
  const Whisper whisper(checkpoint);
  CHECK(whisper.shape().width == 384);
  CHECK(whisper.shape().mels == 80);
  CHECK(whisper.shape().encoder_heads == 6);
  CHECK(whisper.shape().decoder_layers == 4);
  CHECK(whisper.shape().vocabulary == 51864);
  CHECK(whisper.shape().target_positions == 448);
  CHECK(checkpoint.config().at("begin_suppress_tokens") == Json(Json::Array{220, 50256}));
  const TemporaryFolder empty;
  CHECK_THROWS_AS(open_whisper(empty.path()), Error);
}

}  // namespace lv::audio
