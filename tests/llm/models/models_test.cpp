#include "llm/models/models.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "llm/engine/parity.h"
#include "llm/models/decoder.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/placement.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

const std::vector<std::string> kTinyModels{"tiny_llama", "tiny_mamba", "tiny_mistral",
                                           "tiny_qwen2", "tiny_qwen3", "tiny_smollm3"};

std::string folder_of(const std::string& name) { return data("tests/data/llm/" + name); }

at::Tensor golden(const std::string& name, const char* tensor) {
  const auto store = open_safetensors(folder_of(name) + "/golden.safetensors");
  return std::get<at::Tensor>(store->get(tensor));
}

/// One sequence of a model and its memory.
class Reader {
 public:
  explicit Reader(const CausalLm& model)
      : model_(model), kv_(model.shape().kv()), sequence_(kv_.create()) {}

  at::Tensor read(const at::Tensor& ids) {
    const at::Tensor embeddings = model_.embed(ids);
    const PackedBatch batch = pack({{sequence_, embeddings, length_, 64}});
    length_ += ids.size(0);
    return model_.logits(model_.forward(batch, {kv_, states_}));
  }

 private:
  const CausalLm& model_;
  KvStore kv_;
  StateStore states_;
  SequenceId sequence_;
  int64_t length_ = 0;
};

}  // namespace

TEST_CASE("models give the logits and the greedy text of the reference") {
  for (const std::string& name : kTinyModels) {
    CAPTURE(name);
    const auto model = make_model(open_checkpoint(folder_of(name)));
    const CausalOutputs got = causal_outputs(*model, golden(name, "input_ids"), 6);
    CHECK_THAT(got.logits, CloseTo(golden(name, "logits"), 1e-4, 1e-4));
    CHECK(at::equal(got.greedy_ids, golden(name, "greedy_ids")));
  }
}

TEST_CASE("models compute alike in every type that the CPU has") {
  for (const std::string& name : kTinyModels) {
    CAPTURE(name);
    const at::Tensor ids = golden(name, "input_ids");
    const at::Tensor expected = golden(name, "logits");
    const double largest = expected.abs().max().item<double>();
    const auto logits = [&](const Placement& placement) {
      const auto model = make_model(open_checkpoint(folder_of(name), placement));
      const CausalOutputs got = causal_outputs(*model, ids, 6);
      CHECK(model->embed(ids[0]).scalar_type() == model->shape().dtype);
      CHECK(got.logits.scalar_type() == at::kFloat);
      return got.logits;
    };
    // bfloat16 has 8 bits; each of some ten sums in a row rounds to them.
    const double rounding = 8.0 / 256 * largest;
    CHECK_THAT(logits({at::kCPU, at::kBFloat16}), CloseTo(expected, 0, rounding));
    const bool exact = !has_fast_bfloat16();
    CHECK_THAT(logits({at::kCPU, std::nullopt}), CloseTo(expected, 0, exact ? 1e-4 : rounding));
  }
}

TEST_CASE("models read a prompt in pieces as in one") {
  for (const std::string& name : kTinyModels) {
    CAPTURE(name);
    const auto model = make_model(open_checkpoint(folder_of(name)));
    const at::Tensor ids = golden(name, "input_ids")[0];
    Reader whole(*model);
    Reader pieces(*model);
    const at::Tensor expected = whole.read(ids);
    const at::Tensor got = at::cat({pieces.read(ids.slice(0, 0, 6)),
                                    pieces.read(ids.slice(0, 6, 7)), pieces.read(ids.slice(0, 7))});
    CHECK_THAT(got, CloseTo(expected, 1e-4, 1e-5));  // other shapes round otherwise
  }
}

TEST_CASE("models do not look at what comes later") {
  const auto model = make_model(open_checkpoint(folder_of("tiny_llama")));
  const at::Tensor ids = golden("tiny_llama", "input_ids")[0].clone();
  Reader before(*model);
  const at::Tensor expected = before.read(ids).slice(0, 0, 9);
  ids[9] = 3;
  Reader after(*model);
  CHECK_THAT(after.read(ids).slice(0, 0, 9), CloseTo(expected, 1e-5, 1e-6));
}

TEST_CASE("models take their windows from the plan") {
  const Checkpoint checkpoint = open_checkpoint(folder_of("tiny_mistral"));
  const at::Tensor ids = golden("tiny_mistral", "input_ids")[0];
  LayerPlan plan;
  plan.layers = {{{KeySpan{5}}}};
  const auto same = make_model(checkpoint, plan);
  CHECK_THAT(Reader(*same).read(ids), CloseTo(golden("tiny_mistral", "logits")[0], 1e-4, 1e-4));
  plan.layers = {{{KeySpan{}}}};
  const auto full = make_model(checkpoint, plan);
  const at::Tensor other = Reader(*full).read(ids);
  CHECK_THAT(other.slice(0, 0, 5),
             CloseTo(golden("tiny_mistral", "logits")[0].slice(0, 0, 5), 1e-4, 1e-4));
  CHECK_FALSE(at::allclose(other[13], golden("tiny_mistral", "logits")[0][13], 1e-2, 1e-2));
  plan.layers = {{}, {}, {}};
  CHECK_THROWS_WITH(make_model(checkpoint, plan), Catch::Contains("expected 1 or 2 layers, got 3"));
}

TEST_CASE("models know their windows from the configuration") {
  const auto config = [](const char* text) { return parse_json(text, "config"); };
  using Windows = std::vector<int64_t>;
  CHECK(qwen_windows(config(R"({"num_hidden_layers": 3, "sliding_window": 8})")) ==
        Windows{0, 0, 0});
  CHECK(qwen_windows(config(R"({"num_hidden_layers": 3, "sliding_window": 8,
                                "use_sliding_window": true, "max_window_layers": 2})")) ==
        Windows{0, 0, 8});
  CHECK(declared_windows(config(R"({"num_hidden_layers": 2,
                                    "layer_types": ["sliding_attention", "full_attention"]})"),
                         8, 0) == Windows{8, 0});
  CHECK_THROWS_WITH(
      declared_windows(config(R"({"num_hidden_layers": 1, "layer_types": ["linear"]})"), 8, 0),
      Catch::Contains("'linear'"));
  CHECK_THROWS_WITH(
      declared_windows(config(R"({"num_hidden_layers": 1, "layer_types": []})"), 8, 0),
      Catch::Contains("expected 1 entries, got 0"));
}

TEST_CASE("models refuse checkpoints that do not fit") {
  TemporaryFolder folder;
  std::filesystem::copy(folder_of("tiny_llama"), folder.path());
  const std::string text = read_file(folder / "config.json");
  const auto refuses = [&](const std::string& from, const std::string& to, const char* named) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    write_file(folder / "config.json", changed);
    CHECK_THROWS_WITH(make_model(open_checkpoint(folder.path())), Catch::Contains(named));
  };
  refuses("LlamaForCausalLM", "GiraffeForCausalLM", "GiraffeForCausalLM");
  refuses("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "layers.2");
  // All of them, not the first alone.
  refuses("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
          "layers.2.self_attn.v_proj.weight [16, 32]");
  refuses("\"intermediate_size\": 48", "\"intermediate_size\": 50",
          "layers.0.mlp.down_proj.weight: expected [32, 50], got [32, 48]");
  refuses("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "layers.1");
  refuses("\"hidden_size\": 32", "\"hidden_size\": 36", "expected");
  refuses("\"vocab_size\": 67", "\"vocab_size\": 66", "embed_tokens");
  refuses("LlamaForCausalLM\"\n  ],", "SmolLM3ForCausalLM\"], \"no_rope_layers\": [1],",
          "no_rope_layers: expected 2 entries, got 1");
  refuses("LlamaForCausalLM\"\n  ],", "SmolLM3ForCausalLM\"], \"no_rope_layer_interval\": 0,",
          "no_rope_layer_interval: expected at least 1");
  refuses("\"vocab_size\": 67", "\"vocab_size\": -1", "vocab_size");
  refuses("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "divisor of 4");
  refuses("\"silu\"", "\"relu\"", "expected silu");
}

TEST_CASE("models stop between layers when nobody waits") {
  const auto model = make_model(open_checkpoint(folder_of("tiny_llama")));
  KvStore kv({2, 2, 8});
  StateStore states;
  const SequenceId sequence = kv.create();
  const PackedBatch batch = pack({{sequence, at::zeros({3, 32}), 0, 3}});
  const CancelScope scope(Cancellation().with([] { return true; }));
  CHECK_THROWS_WITH(model->forward(batch, {kv, states}), Catch::Contains("cancelled"));
  CHECK(kv.length(sequence, 1) == 0);
}

TEST_CASE("models refuse batches that do not fit") {
  const auto model = make_model(open_checkpoint(folder_of("tiny_llama")));
  KvStore kv({2, 2, 8});
  StateStore states;
  PackedBatch batch = pack({{kv.create(), at::zeros({2, 31}), 0, 2}});
  CHECK_THROWS_WITH(model->forward(batch, {kv, states}), Catch::Contains("batch.embeddings"));
  CHECK_THROWS_WITH(model->embed(at::tensor({67}, at::kLong)), Catch::Contains("67"));
}

}  // namespace lv::llm
