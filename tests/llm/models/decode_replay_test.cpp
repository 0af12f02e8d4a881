#include "llm/models/decode_replay.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>

#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "tests/support/close_to.h"
#include "tests/support/memory_store.h"

namespace lv::llm {
namespace {

/// Two layers of random weights whose heads the kernels know.
std::shared_ptr<const CausalLm> tiny_model(const Placement& placement, const std::string& plan) {
  const int64_t width = 128, heads = 4, kv_heads = 2, head = 64, mlp = 192, vocabulary = 50;
  const auto noise = [](at::IntArrayRef sizes) { return at::randn(sizes) * 0.08; };
  NamedTensors tensors{{"model.embed_tokens.weight", at::randn({vocabulary, width})},
                       {"model.norm.weight", at::ones({width})},
                       {"lm_head.weight", noise({vocabulary, width})}};
  for (int64_t i = 0; i < 2; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    tensors[layer + "input_layernorm.weight"] = at::rand({width}) + 0.5;
    tensors[layer + "post_attention_layernorm.weight"] = at::rand({width}) + 0.5;
    tensors[layer + "self_attn.q_proj.weight"] = noise({heads * head, width});
    tensors[layer + "self_attn.k_proj.weight"] = noise({kv_heads * head, width});
    tensors[layer + "self_attn.v_proj.weight"] = noise({kv_heads * head, width});
    tensors[layer + "self_attn.o_proj.weight"] = noise({width, heads * head});
    tensors[layer + "mlp.gate_proj.weight"] = noise({mlp, width});
    tensors[layer + "mlp.up_proj.weight"] = noise({mlp, width});
    tensors[layer + "mlp.down_proj.weight"] = noise({width, mlp});
  }
  const Checkpoint checkpoint = checkpoint_of(R"({
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
      "intermediate_size": 192, "vocab_size": 50, "max_position_embeddings": 4096,
      "tie_word_embeddings": false})",
                                              tensors);
  return make_model(checkpoint.placed(placement), parse_plan(parse_json(plan, "plan")));
}

/// Prompts of these lengths, then steps of one token each: hidden states of all steps.
at::Tensor read(const CausalLm& model, const std::vector<int64_t>& lengths, int64_t steps,
                DecodeReplay* replay) {
  KvStore kv(model.shape().kv(), 8192);
  StateStore states;
  const Memory memory{kv, states, nullptr, replay};
  std::vector<SequenceStep> pieces;
  for (const int64_t length : lengths) {
    const at::Tensor ids = (at::arange(length, at::kLong) * 7 + length) % 50;
    pieces.push_back({kv.create(), model.embed(ids), 0, 4096});
  }
  model.forward(pack(pieces), memory);
  std::vector<at::Tensor> all;
  for (int64_t step = 0; step < steps; ++step) {
    for (size_t s = 0; s < pieces.size(); ++s) {
      const auto row = static_cast<int64_t>(s);
      pieces[s].first_position = lengths[s] + step;
      pieces[s].embeddings = model.embed(at::full({1}, (step * 11 + row) % 50, at::kLong));
    }
    all.push_back(model.forward(pack(pieces), memory).clone());
    for (const SequenceStep& piece : pieces) model.settle(piece.sequence, 4096, memory, true);
  }
  return at::stack(all).to(at::kFloat).cpu();
}

const std::vector<int64_t> kLengths{1, 15, 16, 40, 1030};

const std::vector<std::string> kPlans{
    "{}",
    R"({"layers": [{"span": {"kind": "window", "size": 20, "sinks": 3}}]})",
    R"({"select": {"kind": "masformer", "full": [1], "window": 9}})",
};

}  // namespace

TEST_CASE("steps of one token are the same by plans that are sent at once") {
  at::manual_seed(11);
  const auto model = tiny_model({}, GENERATE(from_range(kPlans)));
  DecodeReplay replay;
  CHECK_THAT(read(*model, kLengths, 20, &replay),
             CloseTo(read(*model, kLengths, 20, nullptr), 1e-4, 1e-5));
}

TEST_CASE("replayed steps are near steps as any other", "[.gpu]") {
  at::manual_seed(12);
  const auto [type, error] = GENERATE(
      table<at::ScalarType, double>({{at::kFloat, 1e-3}, {at::kHalf, 2e-2}, {at::kBFloat16, 0.1}}));
  const auto model = tiny_model({at::kCUDA, type}, GENERATE(from_range(kPlans)));
  DecodeReplay replay;
  const at::Tensor found = read(*model, kLengths, 20, &replay);
  CHECK_THAT(found, CloseTo(read(*model, kLengths, 20, nullptr), error, error));
}

TEST_CASE("a replayed step is its launches, bit for bit", "[.gpu]") {
  at::manual_seed(13);
  const auto model = tiny_model({at::kCUDA, at::kBFloat16}, GENERATE(from_range(kPlans)));
  DecodeReplay recorded, launched(/*records=*/false);
  const at::Tensor found = read(*model, kLengths, 20, &recorded);
  CHECK(recorded.recordings() > 0);
  CHECK(launched.recordings() == 0);
  CHECK(at::equal(found, read(*model, kLengths, 20, &launched)));
}

TEST_CASE("steps go on when others come and go", "[.gpu]") {
  at::manual_seed(14);
  const auto model = tiny_model({at::kCUDA, at::kFloat}, "{}");
  DecodeReplay replay;
  for (const size_t count : {5, 1, 3, 5}) {  // a padded step has rows of an earlier one behind it
    const std::vector<int64_t> lengths(kLengths.end() - static_cast<int64_t>(count),
                                       kLengths.end());
    CHECK_THAT(read(*model, lengths, 3, &replay),
               CloseTo(read(*model, lengths, 3, nullptr), 1e-3, 1e-3));
  }
}

}  // namespace lv::llm
