#include "llm/generate/score.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

/// A model whose places have three axes, of which the first turns its keys. Notes the others.
class ThreeAxes : public CausalLm {
 public:
  explicit ThreeAxes(std::shared_ptr<const CausalLm> inner) : inner_(std::move(inner)) {}
  ModelShape shape() const override {
    ModelShape shape = inner_->shape();
    shape.position_axes = 3;
    return shape;
  }
  at::Tensor embed(const at::Tensor& ids) const override { return inner_->embed(ids); }
  at::Tensor forward(const PackedBatch& batch, Memory memory) const override {
    places.push_back(batch.positions);
    PackedBatch flat = batch;
    if (flat.positions.dim() == 2) flat.positions = flat.positions.select(1, 0).contiguous();
    return inner_->forward(flat, memory);
  }
  at::Tensor logits(const at::Tensor& hidden) const override { return inner_->logits(hidden); }

  mutable std::vector<at::Tensor> places;

 private:
  std::shared_ptr<const CausalLm> inner_;
};

}  // namespace

TEST_CASE("score reads pictures where they stand, and the answer behind them") {
  const LanguageModelPtr plain = load_language_model(data("tests/data/whole/tiny_smolvlm"));
  const auto model = std::make_shared<const ThreeAxes>(plain->model());
  LanguageModel::Parts parts;
  parts.name = "tiny";
  parts.model = model;
  parts.tokenizer = plain->tokenizer();
  parts.context_tokens = plain->context_tokens();
  const LanguageModel seeing(std::move(parts));
  CompressedTokens picture{lcg_tensor(1, {6, 32}), at::ones({6}), no_origin(), {}};
  const at::Tensor rows = at::arange(2, at::kFloat).repeat_interleave(3) / 2;
  const at::Tensor columns = at::arange(3, at::kFloat).repeat({2}) / 3;
  picture.origin = {at::zeros({6}, at::kDouble), at::zeros({6}, at::kInt),
                    at::stack({columns, rows, columns + 1. / 3, rows + 1. / 2}, 1),
                    at::full({6}, kObserved, at::kByte), at::zeros({6, 2}, at::kInt)};
  Prompt prompt;
  prompt.messages = {{"user", {std::string("See "), picture, std::string(" now.")}}};
  const Score got = score(seeing, prompt, "Two words.");
  const at::Tensor before = seeing.positions(seeing.read(prompt));
  REQUIRE(model->places.size() == 1);
  const at::Tensor read = model->places[0];
  const int64_t asked = before.size(0);
  REQUIRE(read.dim() == 2);
  CHECK(at::equal(read.slice(0, 0, asked), before));
  const int64_t next = before.max().item<int64_t>() + 1;
  CHECK(next < asked);  // a picture takes up fewer numbers than tokens
  const at::Tensor behind = at::arange(next, next + read.size(0) - asked, at::kLong);
  CHECK(at::equal(read.slice(0, asked), behind.unsqueeze(1).expand({-1, 3})));
  // The same without positions is something else.
  const Score flat = score(*model, {seeing.embed(seeing.read(prompt))}, got.ids);
  CHECK_FALSE(at::allclose(flat.log_probabilities, got.log_probabilities, 1e-4, 1e-4));
}

}  // namespace lv::llm
