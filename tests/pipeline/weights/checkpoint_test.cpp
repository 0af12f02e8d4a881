#include "pipeline/weights/checkpoint.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/quantized_matmul.h"
#include "tests/pipeline/weights/byte_writer.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

const char* const kTinyLlama = "tests/data/weights/tiny_llama.gguf";

at::Tensor as_dense(const StoredTensor& tensor) {
  if (const auto* matrix = std::get_if<QuantizedMatrix>(&tensor)) return dequantize(*matrix);
  return std::get<at::Tensor>(tensor);
}

}  // namespace

TEST_CASE("a folder in Hugging Face layout opens, and names are scopes") {
  const Checkpoint checkpoint = open_checkpoint(data("tests/data/weights/sharded"));
  CHECK(checkpoint.architecture() == "TinyForCausalLM");
  CHECK(checkpoint.config().at("width").as_int() == 3);
  CHECK(checkpoint.metadata().is_null());
  CHECK(checkpoint.path() == data("tests/data/weights/sharded"));
  const WeightScope root = checkpoint.root();
  CHECK(root.has_child("a"));
  CHECK_FALSE(root.has_child("a.weight"));
  CHECK((root / "a").has("weight"));
  CHECK_FALSE((root / "a").has("bias"));
  CHECK((root / "a").shape("weight") == std::vector<int64_t>{2, 3});
  CHECK_THAT((root / "a").get("weight", {2, -1}), CloseTo(at::arange(6).view({2, 3}), 0, 0));
  CHECK((root / "model" / 3 / "mlp").path() == "model.3.mlp");
}

TEST_CASE("a checkpoint hands out weights in the type asked for") {
  const WeightScope root = open_checkpoint(data("tests/data/weights/sharded")).root(at::kBFloat16);
  CHECK((root / "a").get("weight", {2, 3}).scalar_type() == at::kBFloat16);
  CHECK(std::get<at::Tensor>((root / "a").matrix("weight", 2, 3)).scalar_type() == at::kBFloat16);
}

TEST_CASE("a wrong shape and a missing tensor are named") {
  const WeightScope root = open_checkpoint(data("tests/data/weights/sharded")).root();
  CHECK_THROWS_MATCHES(
      (root / "a").get("weight", {3, 2}), Error,
      IsError(ErrorCode::kInvalidArgument, "sharded: a.weight: expected [3, 2], got [2, 3]"));
  CHECK_THROWS_MATCHES((root / "a").get("weight", {6}), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected [6], got [2, 3]"));
  CHECK_THROWS_MATCHES((root / "a").matrix("weight", 2, 4), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected [2, 4], got [2, 3]"));
  CHECK_THROWS_MATCHES((root / "z").get("weight", {1}), Error,
                       IsError(ErrorCode::kNotFound, "expected a tensor z.weight [1], got none"));
}

TEST_CASE("finish lists what nobody asked for") {
  const Checkpoint checkpoint = open_checkpoint(data("tests/data/weights/sharded"));
  checkpoint.root().get("a.weight", {2, 3});
  CHECK_THROWS_MATCHES(
      checkpoint.finish(), Error,
      IsError(ErrorCode::kInvalidArgument, "the model does not know: b.weight, c.bias"));
  CHECK_THROWS_MATCHES(checkpoint.finish({".bias"}), Error,
                       IsError(ErrorCode::kInvalidArgument, "does not know: b.weight"));
  CHECK_NOTHROW(checkpoint.finish({"c.bias", "b.weight"}));
  (checkpoint.root() / "b").get("weight", {4});
  checkpoint.root().get("c.bias", {2});
  CHECK_NOTHROW(checkpoint.finish());
}

TEST_CASE("a tensor that was asked for in the wrong shape stays left over") {
  const Checkpoint checkpoint = open_checkpoint(data("tests/data/weights/sharded"));
  CHECK_THROWS(checkpoint.root().get("a.weight", {1}));
  CHECK_THROWS_MATCHES(checkpoint.finish(), Error,
                       IsError(ErrorCode::kInvalidArgument, "a.weight, b.weight, c.bias"));
}

TEST_CASE("finish counts what it does not list") {
  const Checkpoint checkpoint = open_checkpoint(data(kTinyLlama));
  CHECK_THROWS_MATCHES(checkpoint.finish(), Error,
                       IsError(ErrorCode::kInvalidArgument, "and 5 more"));
}

TEST_CASE("a configuration without an architecture says so") {
  const auto store = open_safetensors_folder(data("tests/data/weights/sharded"));
  const auto config = GENERATE("{}", R"({"architectures": []})", R"({"architectures": "x"})",
                               R"({"architectures": [3]})");
  const Checkpoint checkpoint("tiny", parse_json(config, "config"), store);
  CHECK_THROWS_MATCHES(checkpoint.architecture(), Error,
                       IsError(ErrorCode::kInvalidArgument, "tiny: expected architectures"));
}

TEST_CASE("what is no model is refused with a reason") {
  const TemporaryFolder folder;
  CHECK_THROWS_MATCHES(open_checkpoint(folder / "none"), Error,
                       IsError(ErrorCode::kNotFound, "no such file"));
  CHECK_THROWS_MATCHES(open_checkpoint(folder.path()), Error,
                       IsError(ErrorCode::kInvalidArgument, "config.json"));
  write_file(folder / "x.mp4", "GIF89a");
  CHECK_THROWS_MATCHES(open_checkpoint(folder / "x.mp4"), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected a GGUF file"));
  write_file(folder / "config.json", "{");
  CHECK_THROWS_MATCHES(open_checkpoint(folder.path()), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected JSON"));
  write_file(folder / "config.json", "{}");
  CHECK_THROWS_MATCHES(open_checkpoint(folder.path()), Error,
                       IsError(ErrorCode::kNotFound, "model.safetensors"));
}

TEST_CASE("a gguf file has the configuration of its Hugging Face model") {
  const Checkpoint checkpoint = open_checkpoint(data(kTinyLlama));
  CHECK(checkpoint.architecture() == "LlamaForCausalLM");
  CHECK(checkpoint.config() == parse_json(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
    "num_hidden_layers": 1, "vocab_size": 16, "tie_word_embeddings": true,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "intermediate_size": 32, "hidden_act": "silu", "rms_norm_eps": 1e-05,
    "max_position_embeddings": 128, "attention_bias": true, "mlp_bias": false,
    "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "linear", "factor": 4.0},
    "bos_token_id": 1, "eos_token_id": 2})",
                                          "expected"));
  CHECK(checkpoint.metadata().at("tokenizer.ggml.tokens").as_array().size() == 16);
  CHECK(checkpoint.metadata().at("tokenizer.ggml.add_bos_token").as_bool());
}

TEST_CASE("gguf tensors appear under Hugging Face names with their rows in order") {
  const Checkpoint checkpoint = open_checkpoint(data(kTinyLlama));
  const auto expected = open_safetensors(data("tests/data/weights/tiny_llama.safetensors"));
  const WeightScope root = checkpoint.root();
  for (const std::string& name : expected->names()) {
    CAPTURE(name);
    const at::Tensor values = std::get<at::Tensor>(expected->get(name));
    REQUIRE(root.has(name));
    CHECK(root.shape(name) == values.sizes().vec());
    const at::Tensor got = values.dim() == 2
                               ? as_dense(root.matrix(name, values.size(0), values.size(1)))
                               : root.get(name, {values.size(0)});
    CHECK_THAT(got, CloseTo(values, 1e-6, 1e-6));
  }
  CHECK_NOTHROW(checkpoint.finish());
}

TEST_CASE("a quantised matrix stays quantised unless it is asked for as dense") {
  const WeightScope mlp = open_checkpoint(data(kTinyLlama)).root() / "model" / "layers" / 0 / "mlp";
  const WeightMatrix matrix = (mlp / "gate_proj").matrix("weight", 32, 256);
  REQUIRE(std::holds_alternative<QuantizedMatrix>(matrix));
  CHECK_THAT((mlp / "gate_proj").get("weight", {32, 256}),
             CloseTo(dequantize(std::get<QuantizedMatrix>(matrix)), 0, 0));
}

TEST_CASE("an architecture that is not read is named") {
  const TemporaryFolder folder;
  ByteWriter file;
  file.text("GGUF").put(uint32_t{3}).put(uint64_t{0}).put(uint64_t{1});
  file.put(uint64_t{20}).text("general.architecture").put(uint32_t{8});
  file.put(uint64_t{4}).text("gpt9");
  write_file(folder / "x.gguf", file.bytes());
  CHECK_THROWS_MATCHES(open_checkpoint(folder / "x.gguf"), Error,
                       IsError(ErrorCode::kUnimplemented, "'gpt9' is not read here; there are"));
}

TEST_CASE("a key that is missing in a gguf file is named") {
  const TemporaryFolder folder;
  std::string bytes = read_file(data(kTinyLlama));
  const size_t at = bytes.find("llama.block_count");
  bytes.replace(at, 17, "llama.xlock_count");
  write_file(folder / "x.gguf", bytes);
  CHECK_THROWS_MATCHES(open_checkpoint(folder / "x.gguf"), Error,
                       IsError(ErrorCode::kInvalidArgument, "llama.block_count: expected"));
}

TEST_CASE("the real SmolLM2 is read", "[models]") {
  const Checkpoint checkpoint =
      open_checkpoint(data(".deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"));
  CHECK(checkpoint.config().at("num_hidden_layers").as_int() == 30);
  CHECK(checkpoint.config().at("tie_word_embeddings").as_bool());
  // Values that the gguf package 0.19 gives.
  const WeightScope layers = checkpoint.root() / "model" / "layers";
  const at::Tensor q = (layers / 3 / "self_attn" / "q_proj").get("weight", {576, 576});
  CHECK(q[1][1].item<float>() == Approx(-0.16540527));
  CHECK(q[100][5].item<float>() == Approx(0.23370361));
  CHECK(q.to(at::kDouble).sum().item<double>() == Approx(-96.36239624));
  const at::Tensor k = (layers / 29 / "self_attn" / "k_proj").get("weight", {192, 576});
  CHECK(k[33][2].item<float>() == Approx(-0.05386353));
}

}  // namespace lv
