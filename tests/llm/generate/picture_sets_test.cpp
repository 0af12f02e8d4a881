#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "llm/engine/parity.h"
#include "llm/generate/language_model.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

// tests/data/whole/make_picture_sets.py makes them.
struct Tiny {
  std::string name, mark;
  bool whole_first;
};

Tiny drawn() {
  return GENERATE(Tiny{"tiny_idefics2", "<image>", false},
                  Tiny{"tiny_leopard", "<|reserved_special_token_195|>", true});
}

at::Tensor golden(const Tiny& tiny, const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/" + tiny.name + ".safetensors"))->get(name));
}

std::vector<int64_t> as_ids(const at::Tensor& ids) {
  const at::Tensor dense = ids.contiguous();
  return {dense.const_data_ptr<int64_t>(), dense.const_data_ptr<int64_t>() + dense.numel()};
}

/// Four tokens for each tile of a picture, and for all of it.
CompressedTokens picture(const Tiny& tiny, const at::Tensor& rows, PatchGrid tiles,
                         int32_t source) {
  std::vector<int32_t> tile;
  for (int32_t i = 0; i < tiles.rows * tiles.columns; ++i) {
    tile.insert(tile.end(), {i / tiles.columns + 1, i % tiles.columns + 1});
  }
  tile.insert(tiny.whole_first ? tile.begin() : tile.end(), {0, 0});
  const int64_t count = rows.size(0);
  CompressedTokens tokens{rows, at::ones({count}), no_origin(), {}};
  tokens.origin = {at::zeros({count}, at::kDouble), at::full({count}, source, at::kInt),
                   at::zeros({count, 4}), at::full({count}, kObserved, at::kByte),
                   at::tensor(tile, at::kInt).view({-1, 2}).repeat_interleave(4, 0)};
  return tokens;
}

/// One picture of the golden file, or both of them.
Prompt prompt_of(const Tiny& tiny, bool both) {
  const at::Tensor rows = golden(tiny, both ? "set_features" : "features");
  const bool leopard = tiny.whole_first;
  // LEOPARD's are 70 x 45 and 31 x 60 pixels of tiles of 32, and share six tiles.
  const PatchGrid first = leopard ? PatchGrid{1, 2} : PatchGrid{2, 2},
                  second = leopard ? PatchGrid{2, 1} : PatchGrid{2, 2};
  const int64_t own = 4 * (1 + first.rows * first.columns);
  Prompt prompt;
  prompt.messages = {{"user", {picture(tiny, rows.slice(0, 0, own), first, 0)}}};
  if (both) prompt.messages[0].parts.emplace_back(picture(tiny, rows.slice(0, own), second, 1));
  prompt.messages[0].parts.emplace_back("What is shown in 2 words?");
  return prompt;
}

std::vector<int64_t> ids_of(const LanguageModel& model, const Tiny& tiny, const Prompt& prompt) {
  std::vector<int64_t> ids;
  const int64_t mark = model.tokenizer()->id_of(tiny.mark).value();
  for (const auto& segment : model.read(prompt).segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      const std::vector<int64_t> words = as_ids(text->ids);
      ids.insert(ids.end(), words.begin(), words.end());
    } else {
      ids.insert(ids.end(), std::get<CompressedTokens>(segment).embeddings.size(0), mark);
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("prompts with one picture and with two have the reference's ids") {
  const Tiny tiny = drawn();
  INFO(tiny.name);
  const LanguageModelPtr model = load_language_model(data("tests/data/whole/" + tiny.name));
  CHECK(ids_of(*model, tiny, prompt_of(tiny, false)) == as_ids(golden(tiny, "input_ids")));
  CHECK(ids_of(*model, tiny, prompt_of(tiny, true)) == as_ids(golden(tiny, "set_input_ids")));
}

TEST_CASE("models of picture sets answer as the reference does") {
  const Tiny tiny = drawn();
  INFO(tiny.name);
  const LanguageModelPtr model = load_language_model(data("tests/data/whole/" + tiny.name));
  const at::Tensor rows = model->embed(model->read(prompt_of(tiny, false)));
  const CausalOutputs outputs = causal_outputs_after(*model->model(), rows.unsqueeze(0), 8);
  CHECK_THAT(outputs.logits[0][-1], CloseTo(golden(tiny, "last_logits"), 1e-4, 1e-5));
  CHECK(as_ids(outputs.greedy_ids.flatten()) == as_ids(golden(tiny, "greedy_ids")));
}

}  // namespace lv::llm
