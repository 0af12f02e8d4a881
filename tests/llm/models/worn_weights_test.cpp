#include "llm/models/worn_weights.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv::llm {
namespace {

const std::vector<std::string> kModules{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj", "mlp"};
constexpr int64_t kRank = 3;

Checkpoint tiny(const std::string& name) { return open_checkpoint(data("tests/data/llm/" + name)); }

/// Low-rank weights for every module of every layer, or of those that are named.
AdapterWeights adapters_for(const ModelShape& shape, uint32_t seed,
                            const std::vector<std::string>& modules = kModules) {
  AdapterWeights weights;
  const int64_t heads = shape.heads * shape.head_size, kv_heads = shape.kv_heads * shape.head_size;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (const std::string& module : modules) {
      const bool output = module == "self_attn.o_proj", mlp = module == "mlp";
      const int64_t in = output ? heads : shape.width;
      const int64_t out = output || mlp                  ? shape.width
                          : module == "self_attn.q_proj" ? heads
                                                         : kv_heads;
      weights.push_back({"model.layers." + std::to_string(layer) + "." + module,
                         lcg_tensor(seed, {kRank, in}) * 0.4,
                         lcg_tensor(seed + 1, {out, kRank}) * 0.4});
      seed += 2;
    }
  }
  return weights;
}

AdapterWeights without_effect(AdapterWeights weights) {
  for (LowRankDelta& delta : weights) delta.up = at::zeros_like(delta.up);
  return weights;
}

/// One sequence of a step: rows, and what it wears.
struct Asked {
  at::Tensor ids;
  const WornWeights* worn = nullptr;
};

/// Hidden states of the sequences, read in one packed batch.
std::vector<at::Tensor> read(const CausalLm& model, const std::vector<Asked>& all) {
  KvStore kv(model.shape().kv());
  StateStore states;
  std::vector<SequenceStep> steps;
  for (const Asked& asked : all) {
    const int64_t length = asked.ids.size(0);
    steps.push_back({kv.create(), model.embed(asked.ids), 0, length, at::Tensor(), asked.worn});
  }
  const at::Tensor hidden = model.forward(pack(steps), {kv, states});
  std::vector<at::Tensor> parts;
  int64_t row = 0;
  for (const Asked& asked : all) {
    parts.push_back(hidden.slice(0, row, row + asked.ids.size(0)));
    row += asked.ids.size(0);
  }
  return parts;
}

at::Tensor ids_of(int64_t count, int64_t step) { return at::arange(count, at::kLong) * step % 60; }

const std::vector<std::string> kDecoders{"tiny_llama", "tiny_mistral", "tiny_qwen2", "tiny_qwen3",
                                         "tiny_smollm3"};

}  // namespace

TEST_CASE("worn weights are the same as weights that they were added to") {
  // The branch beside the MLP has no weight to be added to; the parity fixtures hold it.
  const std::vector<std::string> projections(kModules.begin(), kModules.end() - 1);
  for (const std::string& name : kDecoders) {
    CAPTURE(name);
    const Checkpoint checkpoint = tiny(name);
    const auto model = make_model(checkpoint);
    const AdapterWeights weights = adapters_for(model->shape(), 5, projections);
    NamedTensors merged;
    for (const std::string& tensor : checkpoint.tensors().names()) {
      merged[tensor] = std::get<at::Tensor>(checkpoint.tensors().get(tensor)).to(at::kFloat);
    }
    for (const LowRankDelta& delta : weights) {
      merged[delta.target + ".weight"] = merged[delta.target + ".weight"] + delta.up.mm(delta.down);
    }
    const auto changed = make_model(checkpoint_of(checkpoint.config().dump(), merged));
    const WornWeights worn(weights, model->shape());
    const at::Tensor ids = ids_of(11, 7);
    const at::Tensor got = read(*model, {{ids, &worn}})[0];
    CHECK_THAT(got, CloseTo(read(*changed, {{ids}})[0], 1e-4, 1e-4));
    CHECK_FALSE(at::allclose(got, read(*model, {{ids}})[0], 1e-2, 1e-2));
  }
}

TEST_CASE("worn weights beside the MLP add to what it gives") {
  const auto model = make_model(tiny("tiny_llama"));
  // All of the last layer's branch goes to the first feature, before the final norm.
  const int64_t width = model->shape().width;
  const at::Tensor up = at::zeros({width, 1});
  up[0][0] = 1000;
  const AdapterWeights weights{{"model.layers.1.mlp", at::ones({1, width}), up}};
  const WornWeights worn(weights, model->shape());
  const at::Tensor hidden = read(*model, {{ids_of(4, 5), &worn}})[0];
  CHECK(at::equal(hidden.abs().argmax(1), at::zeros({4}, at::kLong)));
}

TEST_CASE("worn weights of no effect leave every bit as it is") {
  for (const std::string& name : kDecoders) {
    CAPTURE(name);
    const auto model = make_model(tiny(name));
    const WornWeights worn(without_effect(adapters_for(model->shape(), 9)), model->shape());
    const at::Tensor ids = ids_of(9, 11);
    CHECK(at::equal(read(*model, {{ids, &worn}})[0], read(*model, {{ids}})[0]));
  }
}

TEST_CASE("sequences of one batch wear what is theirs and nothing else") {
  for (const std::string& name : kDecoders) {
    CAPTURE(name);
    const auto model = make_model(tiny(name));
    const WornWeights first(adapters_for(model->shape(), 1), model->shape());
    const WornWeights second(adapters_for(model->shape(), 77), model->shape());
    const std::vector<Asked> all{
        {ids_of(5, 3), &first}, {ids_of(7, 3)}, {ids_of(1, 3), &second}, {ids_of(6, 3), &second}};
    const std::vector<at::Tensor> plain = read(*model, {{ids_of(7, 3)}});
    const std::vector<at::Tensor> together = read(*model, all);
    for (size_t i = 0; i < all.size(); ++i) {
      CAPTURE(i);
      // Other shapes round otherwise.
      CHECK_THAT(together[i], CloseTo(read(*model, {all[i]})[0], 1e-4, 1e-4));
    }
    CHECK_FALSE(at::allclose(together[0], read(*model, {{ids_of(5, 3)}})[0], 1e-2, 1e-2));
    // The model itself is as it was.
    CHECK(at::equal(read(*model, {{ids_of(7, 3)}})[0], plain[0]));
  }
}

TEST_CASE("worn weights compute in the model's type") {
  const auto model =
      make_model(open_checkpoint(data("tests/data/llm/tiny_llama"), {at::kCPU, at::kBFloat16}));
  const auto exact = make_model(tiny("tiny_llama"));
  const AdapterWeights weights = adapters_for(model->shape(), 3);
  const WornWeights narrow(weights, model->shape()), wide(weights, exact->shape());
  const at::Tensor ids = ids_of(6, 5);
  const at::Tensor got = read(*model, {{ids, &narrow}})[0];
  CHECK(got.scalar_type() == at::kBFloat16);
  const at::Tensor expected = read(*exact, {{ids, &wide}})[0];
  CHECK_THAT(got.to(at::kFloat), CloseTo(expected, 0, 0.1 * expected.abs().max().item<double>()));
}

TEST_CASE("the engine answers alike whatever others wear") {
  const std::shared_ptr<const CausalLm> model = make_model(tiny("tiny_llama"));
  std::vector<std::shared_ptr<const WornWeights>> wardrobe{nullptr};
  for (const uint32_t seed : {1u, 50u, 99u}) {
    wardrobe.push_back(
        std::make_shared<const WornWeights>(adapters_for(model->shape(), seed), model->shape()));
  }
  const auto request = [&](size_t i) {
    EngineRequest asked;
    asked.embeddings = model->embed(ids_of(4 + static_cast<int64_t>(i), 13));
    asked.options.max_tokens = 9;
    asked.context_tokens = 64;
    asked.worn = wardrobe[i % wardrobe.size()];
    return asked;
  };
  const auto rest_of = [](TokenStream& stream) {
    std::vector<int64_t> ids;
    while (const auto id = stream.next()) ids.push_back(*id);
    return ids;
  };
  constexpr size_t kCount = 8;
  std::vector<std::vector<int64_t>> alone;
  for (size_t i = 0; i < kCount; ++i) {
    Engine engine(model);
    alone.push_back(rest_of(*engine.start(request(i))));
  }
  CHECK(alone[0] != alone[1]);
  EngineLimits limits;
  limits.step_tokens = 5;
  Engine engine(model, limits);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (size_t i = 0; i < kCount; ++i) streams.push_back(engine.start(request(i)));
  for (size_t i = 0; i < kCount; ++i) CHECK(rest_of(*streams[i]) == alone[i]);
}

TEST_CASE("worn weights that do not fit are named") {
  const ModelShape shape = make_model(tiny("tiny_llama"))->shape();  // 2 layers, 32 wide
  const auto refuses = [&](const std::string& target, at::IntArrayRef down, at::IntArrayRef up,
                           const char* text) {
    CAPTURE(target);
    CHECK_THROWS_MATCHES(WornWeights({{target, at::zeros(down), at::zeros(up)}}, shape), Error,
                         IsError(ErrorCode::kInvalidArgument, text));
  };
  for (const char* target :
       {"model.layers.2.mlp", "model.layers.-1.mlp", "model.layers..mlp", "model.layers.0mlp",
        "model.layers.0.mlp.up_proj", "model.layers.0.self_attn", "model.layers.0.self_attn.z_proj",
        "lm_head", "", "model.layers.99999999999999999999.mlp"}) {
    refuses(target, {1, 32}, {32, 1}, "expected model.layers.0 to 1");
  }
  refuses("model.layers.0.mlp", {1, 31}, {32, 1}, "mlp' down: expected [*, 32], got [1, 31]");
  refuses("model.layers.0.mlp", {2, 32}, {31, 2}, "mlp' up: expected [32, 2], got [31, 2]");
  refuses("model.layers.0.mlp", {2, 32}, {32, 1}, "mlp' up: expected [32, 2], got [32, 1]");
  refuses("model.layers.0.self_attn.k_proj", {1, 32}, {32, 1}, "expected [16, 1], got [32, 1]");
  refuses("model.layers.0.mlp", {0, 32}, {32, 0}, "expected a rank of 1 to 32, got 0");
  refuses("model.layers.0.self_attn.v_proj", {17, 32}, {16, 17}, "expected a rank of 1 to 16");
  const LowRankDelta delta{"model.layers.0.mlp", at::zeros({1, 32}), at::zeros({32, 1})};
  CHECK_THROWS_MATCHES(WornWeights({delta, delta}, shape), Error,
                       IsError(ErrorCode::kInvalidArgument, "mlp': given twice"));
  CHECK_THROWS_MATCHES(WornWeights({delta}, make_model(tiny("tiny_mamba"))->shape()), Error,
                       IsError(ErrorCode::kUnimplemented, "no attention layers to wear them"));
}

}  // namespace lv::llm
