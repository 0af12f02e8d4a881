#include "pipeline/nn/linear.h"

#include <ATen/ATen.h>

#include <array>
#include <catch2/catch.hpp>

#include "pipeline/kernels/quantized_matmul.h"
#include "pipeline/nn/norm.h"
#include "pipeline/weights/converted_store.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

WeightScope tiny_layer() {
  return open_checkpoint(data("tests/data/weights/tiny_llama.gguf")).root() / "model" / "layers" /
         0;
}

}  // namespace

TEST_CASE("a linear layer multiplies and adds its bias") {
  const Linear dense(at::tensor({1.F, 2.F, 3.F, 4.F}).view({2, 2}), at::tensor({10.F, 20.F}));
  CHECK_THAT(dense(at::tensor({1.F, -1.F})), CloseTo(at::tensor({9.F, 19.F}), 0, 0));
  const Linear bare(at::tensor({1.F, 2.F, 3.F, 4.F}).view({2, 2}), at::Tensor());
  CHECK_THAT(bare(at::tensor({1.F, -1.F}).view({1, 1, 2})),
             CloseTo(at::tensor({-1.F, -1.F}).view({1, 1, 2}), 0, 0));
}

TEST_CASE("a quantised linear layer equals the dense one") {
  const WeightScope q = tiny_layer() / "self_attn" / "q_proj";
  const Linear quantized(q, 256, 8);
  REQUIRE(std::holds_alternative<QuantizedMatrix>(quantized.weight()));
  const Linear dense(q.get("weight", {8, 256}), q.get("bias", {8}));
  const at::Tensor x = lcg_tensor(3, {2, 5, 256});
  // x is rounded to 14 bits of the largest of 32.
  CHECK_THAT(quantized(x), CloseTo(dense(x), 0, 1e-4 * dense(x).abs().max().item<double>()));
  CHECK(quantized(x.to(at::kBFloat16)).scalar_type() == at::kBFloat16);
  CHECK(quantized(at::empty({0, 256})).sizes() == at::IntArrayRef{0, 8});
}

/// The tiny layer's gate as it is stored, with an adapter of rank 32 and a type.
Linear adapted_gate(const std::string& weight, at::ScalarType type) {
  const auto whole = std::make_shared<const Checkpoint>(
      open_checkpoint(data("tests/data/weights/tiny_llama.gguf")));
  const TensorStorePtr stored(whole, &whole->tensors());
  const auto adapter = std::make_shared<const MemoryStore>(
      NamedTensors{{"down", lcg_tensor(5, {32, 256}).to(type)},
                   {"up", lcg_tensor(6, {32, 32}).to(type)},
                   {"dense", (tiny_layer() / "mlp" / "gate_proj").get("weight", {32, 256})}});
  ConvertedStore::Index index{{"adapter.down.weight", {adapter, {"down"}}},
                              {"adapter.up.weight", {adapter, {"up"}}}};
  index["weight"] = weight == "dense"
                        ? ConvertedStore::Entry{adapter, {"dense"}}
                        : ConvertedStore::Entry{stored, {"model.layers.0.mlp.gate_proj.weight"}};
  const Checkpoint all("adapted", {}, std::make_shared<const ConvertedStore>("adapted", index));
  return {all.placed({}).root(), 256, 32};
}

TEST_CASE("a linear layer grows by its adapter, dense or quantised") {
  const WeightScope gate = tiny_layer() / "mlp" / "gate_proj";
  const auto type = GENERATE(at::kFloat, at::kBFloat16);
  const at::Tensor down = lcg_tensor(5, {32, 256}).to(type).to(at::kFloat),
                   up = lcg_tensor(6, {32, 32}).to(type).to(at::kFloat);
  const at::Tensor x = lcg_tensor(3, {2, 5, 256});
  const at::Tensor expected = at::linear(x, gate.get("weight", {32, 256}) + up.mm(down));
  const double largest = expected.abs().max().item<double>();
  const Linear quantized = adapted_gate("stored", type), dense = adapted_gate("dense", type);
  CHECK(std::holds_alternative<QuantizedMatrix>(quantized.weight()));
  CHECK_THAT(dense(x), CloseTo(expected, 0, 1e-5 * largest));
  CHECK_THAT(quantized(x), CloseTo(expected, 0, 1e-4 * largest));
  const Linear plain(gate, 256, 32);
  const std::vector<at::Tensor> both = apply_each(x, std::array{&quantized, &plain});
  CHECK_THAT(both[0], CloseTo(quantized(x), 0, 0));
  CHECK_THAT(both[1], CloseTo(plain(x), 0, 0));
}

TEST_CASE("a quantised linear layer refuses rows of another width") {
  const Linear layer(tiny_layer() / "mlp" / "gate_proj", 256, 32);
  CHECK_THROWS_MATCHES(layer(at::zeros({2, 255})), Error,
                       IsError(ErrorCode::kInvalidArgument, "rows of 256, got [2, 255]"));
}

TEST_CASE("an embedding takes rows of a dense or a quantised table") {
  const WeightScope root = open_checkpoint(data("tests/data/weights/tiny_llama.gguf")).root();
  const Embedding quantized(root / "model" / "embed_tokens", 16, 256);
  const at::Tensor table = (root / "model" / "embed_tokens").get("weight", {16, 256});
  const at::Tensor ids = at::tensor({15, 0, 3, 3}, at::kLong);
  CHECK_THAT(quantized(ids), CloseTo(table.index_select(0, ids), 0, 0));
  CHECK(quantized(at::empty({0}, at::kLong)).sizes() == at::IntArrayRef{0, 256});
  const Embedding dense(open_checkpoint(data("tests/data/weights/sharded")).root(at::kHalf) / "a",
                        2, 3);
  CHECK_THAT(dense(at::tensor({1}, at::kLong)),
             CloseTo(at::tensor({3.F, 4.F, 5.F}).view({1, 3}), 0, 0));
}

TEST_CASE("an embedding refuses ids outside its table") {
  const Embedding table(open_checkpoint(data("tests/data/weights/sharded")).root() / "a", 2, 3);
  const auto wrong = GENERATE(-1, 2);
  CHECK_THROWS_MATCHES(
      table(at::tensor({0, wrong}, at::kLong)), Error,
      IsError(ErrorCode::kInvalidArgument, "ids: expected 0 to 1, got " + std::to_string(wrong)));
  CHECK_THROWS_MATCHES(table(at::zeros({1})), Error,
                       IsError(ErrorCode::kInvalidArgument, "ids: expected Long"));
}

TEST_CASE("rms norm divides by the root of the mean square") {
  const WeightScope layer = tiny_layer();
  const RmsNorm norm(layer / "input_layernorm", 256, 1e-5);
  const at::Tensor weight = (layer / "input_layernorm").get("weight", {256});
  const at::Tensor x = 3 * lcg_tensor(9, {4, 256});
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor expected =
      wide / (wide.square().mean(-1, true) + 1e-5).sqrt() * weight.to(at::kDouble);
  CHECK_THAT(norm(x), CloseTo(expected, 1e-5, 1e-6));
  CHECK_THAT(norm(at::zeros({1, 256})), CloseTo(at::zeros({1, 256}), 0, 0));
}

namespace {

/// Three layers of widths 5, 2 and 5 on a device, and their outputs one by one.
void check_group(at::Device device) {
  std::vector<Linear> layers;
  for (const int64_t width : {5, 2, 5}) {
    layers.emplace_back(at::randn({width, 8}).to(device), at::randn({width}).to(device));
  }
  const at::Tensor x = at::randn({2, 3, 8}).to(device);
  const std::vector<at::Tensor> together = LinearGroup(layers)(x);
  REQUIRE(together.size() == layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    CHECK_THAT(together[i].cpu(), CloseTo(layers[i](x).cpu(), 1e-5, 1e-5));
  }
}

}  // namespace

TEST_CASE("a group of linear layers gives what each gives") { check_group(at::kCPU); }
TEST_CASE("a group of linear layers on a GPU", "[.gpu]") { check_group(at::kCUDA); }

TEST_CASE("rms norm computes in float32 and hands back the type it got") {
  const RmsNorm norm(open_checkpoint(data("tests/data/weights/tiny_llama.gguf")).root(at::kHalf) /
                         "model" / "norm",
                     256, 1e-5);
  // The squares overflow float16.
  const at::Tensor y = norm(at::full({1, 256}, 1000, at::kHalf));
  CHECK(y.scalar_type() == at::kHalf);
  CHECK(at::isfinite(y).all().item<bool>());
}

TEST_CASE("layer norm reads weight and bias") {
  class OneNorm : public TensorStore {
   public:
    std::vector<std::string> names() const override { return {"n.weight", "n.bias"}; }
    bool contains(std::string_view name) const override {
      return name == "n.weight" || name == "n.bias";
    }
    StoredTensor get(std::string_view name) const override {
      return name == "n.weight" ? at::tensor({2.F, 1.F}) : at::tensor({0.F, 5.F});
    }
    std::vector<int64_t> shape(std::string_view) const override { return {2}; }
  };
  const Checkpoint checkpoint("one", Json(), std::make_shared<OneNorm>());
  const LayerNorm norm(checkpoint.root() / "n", 2, 0);
  CHECK_THAT(norm(at::tensor({1.F, 3.F}).view({1, 2})),
             CloseTo(at::tensor({-2.F, 6.F}).view({1, 2})));
  const auto [sum, normed] = norm.of_sum(at::tensor({0.F, 1.F}), at::tensor({1.F, 2.F}));
  CHECK_THAT(sum, CloseTo(at::tensor({1.F, 3.F}), 0, 0));
  CHECK_THAT(normed, CloseTo(at::tensor({-2.F, 6.F})));
  CHECK_THAT(norm.of_sum(sum, {}).norm, CloseTo(normed, 0, 0));
  CHECK_NOTHROW(checkpoint.finish());
}

}  // namespace lv
