#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

const std::string kConfig = R"({"architectures": ["LlavaLlamaVLoRAForCausalLM"],
  "model_type": "llava_vlora", "hidden_size": 16, "num_attention_heads": 4,
  "num_key_value_heads": 4, "vlora_dim": 512, "vlora_depth": 2, "vlora_visual_dim": 12,
  "vlora_pos_num": 9, "vlora_llm_dim": 16, "vlora_llm_depth": 8, "vlora_rank": 4,
  "vlora_alpha": 8, "vlora_type": "qkvom", "skip_layers": 4, "weights_sep": true})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// tests/data/vision/make_vlora.py makes it, of the same numbers.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/vision/vlora.safetensors"))->get(name));
}

NamedTensors generator(const std::string& at, int64_t matrices) {
  NamedTensors tensors;
  const auto add = [&](const std::string& name, at::IntArrayRef shape) {
    tensors[at + name] = at::empty(shape);
  };
  add("queries", {1, matrices, 32});
  for (const char* layer : {"decoders.0.", "decoders.1."}) {
    for (const char* attention : {"self_attn.", "multihead_attn."}) {
      add(std::string(layer) + attention + "in_proj_weight", {96, 32});
      add(std::string(layer) + attention + "in_proj_bias", {96});
      add(std::string(layer) + attention + "out_proj.weight", {32, 32});
      add(std::string(layer) + attention + "out_proj.bias", {32});
    }
    add(std::string(layer) + "linear1.weight", {128, 32});
    add(std::string(layer) + "linear1.bias", {128});
    add(std::string(layer) + "linear2.weight", {32, 128});
    add(std::string(layer) + "linear2.bias", {32});
    for (const char* norm : {"norm1", "norm2", "norm3"}) {
      add(std::string(layer) + norm + ".weight", {32});
      add(std::string(layer) + norm + ".bias", {32});
    }
  }
  add("norm.weight", {32});
  add("norm.bias", {32});
  add("weights_head.weight", {64, 32});
  add("weights_head.bias", {64});
  return tensors;
}

/// A model's compressor and nothing else of it, with the numbers of make_vlora.py.
Checkpoint tiny(const std::string& config = kConfig) {
  NamedTensors tensors;
  const bool separate = config.find("\"weights_sep\": true") != std::string::npos;
  for (int i = 0; i < (separate ? 5 : 1); ++i) {
    tensors.merge(
        generator(separate ? "gen." + std::to_string(i) + "." : "gen.", separate ? 2 : 10));
  }
  tensors["visual_proj.weight"] = at::empty({32, 12});
  tensors["visual_proj.bias"] = at::empty({32});
  tensors["pos_embed"] = at::empty({1, 9, 32});
  NamedTensors whole;
  uint32_t seed = 1000;
  for (auto& [name, tensor] : tensors) {  // in the order of their names
    tensor = 0.4 * lcg_tensor(++seed, tensor.sizes());
    if (name.find("norm") != std::string::npos && name.ends_with("weight")) {
      tensor = 1 + tensor / 2;
    }
    whole["model.mm_projector." + name] = tensor;
  }
  whole["model.mm_projector.Bs"] = lcg_tensor(7, {1, 10, 64});
  return checkpoint_of(config, std::move(whole));
}

ClipTokens picture(int64_t pictures = 1) {
  ClipTokens clip;
  clip.visual.features = lcg_tensor(1, {9, 12}).repeat({pictures, 1});
  clip.visual.offsets = at::arange(0, 9 * pictures + 1, 9, at::kInt);
  clip.visual.grids.assign(static_cast<size_t>(pictures), {3, 3});
  return clip;
}

AdapterWeights weights_of(const Checkpoint& checkpoint) {
  return std::get<AdapterWeights>(load_own_compressor(checkpoint).compressor->map(picture()));
}

}  // namespace

TEST_CASE("vlora makes the weights that torch's decoder layers make") {
  const bool separate = GENERATE(true, false);
  const AdapterWeights got = weights_of(
      tiny(separate ? kConfig : with(kConfig, "\"weights_sep\": true", "\"weights_sep\": false")));
  CHECK_NOTHROW(validate(got));
  const at::Tensor seen = golden(separate ? "separate" : "shared");
  const at::Tensor learned = lcg_tensor(7, {5, 2, 16, 4});
  REQUIRE(got.size() == 10);
  for (int64_t slot = 0; slot < 2; ++slot) {
    for (int64_t kind = 0; kind < 5; ++kind) {
      const LowRankDelta& delta = got[static_cast<size_t>(5 * slot + kind)];
      CAPTURE(delta.target);
      const std::string scope = "model.layers." + std::to_string(4 * slot + 3);
      CHECK(delta.target == scope + (kind == 4
                                         ? std::string(".mlp")
                                         : std::string(".self_attn.") + "qkvo"[kind] + "_proj"));
      CHECK_THAT(delta.down, CloseTo(seen[kind][slot].t(), 1e-4, 1e-5));
      CHECK(at::equal(delta.up, 2 * learned[kind][slot]));  // alpha / rank
      CHECK(at::linalg_matrix_rank(delta.up.mm(delta.down)).item<int64_t>() == 4);
    }
  }
}

TEST_CASE("vlora gives keys and values of fewer heads fewer rows") {
  const AdapterWeights all = weights_of(tiny());
  const AdapterWeights fewer =
      weights_of(tiny(with(kConfig, "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 1")));
  for (size_t i = 0; i < all.size(); ++i) {
    const bool cut = all[i].target.ends_with("k_proj") || all[i].target.ends_with("v_proj");
    CHECK(at::equal(fewer[i].up, all[i].up.slice(0, 0, cut ? 4 : 16)));
    CHECK(at::equal(fewer[i].down, all[i].down));
  }
}

TEST_CASE("vlora makes the kinds of weights that its model was trained for") {
  NamedTensors tensors;
  const Checkpoint whole = tiny();
  for (const std::string& name : whole.tensors().names()) {
    if (name.find("gen.2") != std::string::npos || name.find("gen.3") != std::string::npos ||
        name.find("gen.4") != std::string::npos) {
      continue;
    }
    tensors[name] = std::get<at::Tensor>(whole.tensors().get(name));
  }
  tensors["model.mm_projector.Bs"] = lcg_tensor(7, {1, 4, 64});
  const AdapterWeights got = weights_of(checkpoint_of(with(kConfig, "qkvom", "mo"), tensors));
  REQUIRE(got.size() == 4);
  CHECK(got[0].target == "model.layers.3.mlp");
  CHECK(got[3].target == "model.layers.7.self_attn.o_proj");
}

TEST_CASE("vlora takes one picture, and makes nothing of none") {
  const auto own = load_own_compressor(tiny()).compressor;
  ClipTokens none = picture();
  none.visual.features = at::empty({0, 12});
  none.visual.offsets = at::zeros({1}, at::kInt);
  none.visual.grids.clear();
  CHECK(std::get<AdapterWeights>(own->map(none)).empty());
  CHECK_THROWS_MATCHES(own->map(picture(2)), Error,
                       IsError(ErrorCode::kInvalidArgument, "vlora: expected one picture"));
  ClipTokens wide = picture();
  wide.visual.features = at::zeros({9, 13});
  CHECK_THROWS_MATCHES(own->map(wide), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected [9, 12], got [9, 13]"));
}

TEST_CASE("vlora names what does not fit in a checkpoint") {
  const auto refuses = [](const std::string& from, const std::string& to, const char* text) {
    CAPTURE(to);
    CHECK_THROWS_WITH(load_own_compressor(tiny(with(kConfig, from, to))), Catch::Contains(text));
  };
  refuses("\"vlora_rank\": 4", "\"vlora_rank\": 0", "vlora_rank: expected 1 to");
  refuses("\"skip_layers\": 4", "\"skip_layers\": 9", "skip_layers: expected at most 8, got 9");
  refuses("qkvom", "qkvoq", "vlora_type: expected each of q, k, v, o and m once");
  refuses("\"vlora_depth\": 2", "\"vlora_depth\": 3", "gen.0.decoders.2.linear1.weight");
  refuses("\"vlora_depth\": 2", "\"vlora_depth\": 1", "gen.0.decoders.1.linear1.bias");
  refuses("\"vlora_pos_num\": 9", "\"vlora_pos_num\": 8", "pos_embed: expected [1, 8, 32]");
}

TEST_CASE("a trained compressor is had by its name from a model that has it") {
  const OwnCompressor own = load_own_compressor(tiny());
  CHECK(own.name == "vlora");
  CHECK(make_compressor("vlora", {}, own) == own.compressor);
  CHECK(make_compressor("pool", Params::parse("keep=0.5"), own) != nullptr);
  CHECK_THROWS_WITH(make_compressor("vlora", Params::parse("keep=0.5"), own),
                    Catch::Contains("keep"));
  const OwnCompressor nothing =
      load_own_compressor(checkpoint_of(R"({"architectures": ["LlamaForCausalLM"]})", {}));
  CHECK(nothing.compressor == nullptr);
  CHECK_THROWS_MATCHES(make_compressor("vlora", {}, nothing), Error,
                       IsError(ErrorCode::kFailedPrecondition, "compressor vlora: its weights"));
  CHECK_THROWS_MATCHES(make_compressor("zip", {}, own), Error,
                       IsError(ErrorCode::kNotFound, "compressor 'zip'"));
}

}  // namespace lv::vision
