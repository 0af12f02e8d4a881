#include "vision/compressors/combiner.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/weights/model_parts.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "tests/vision/compressors/small_clips.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

std::string config_of(const std::string& kind) {
  return R"({"architectures": ["LlavaCombinerForConditionalGeneration"], "combiner": {"kind": ")" +
         kind + R"(", "tokens": 2, "depth": 2, "heads": 4, "snippet_seconds": 1}})";
}

/// With the numbers of tests/data/vision/make_combiner.py.
NamedTensors weights_of(const std::string& kind) {
  std::map<std::string, std::vector<int64_t>> shapes{
      {"video.into.weight", {16, 12}}, {"video.into.bias", {16}},
      {"video.places", {8, 16}},       {"audio.into.weight", {16, 10}},
      {"audio.into.bias", {16}},       {"audio.places", {6, 16}},
      {"norm.weight", {16}},           {"norm.bias", {16}},
      {"out.weight", {12, 16}},        {"out.bias", {12}}};
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    shapes[layer + "self_attn.in_proj_weight"] = {48, 16};
    shapes[layer + "self_attn.in_proj_bias"] = {48};
    shapes[layer + "self_attn.out_proj.weight"] = {16, 16};
    shapes[layer + "linear1.weight"] = {32, 16};
    shapes[layer + "linear1.bias"] = {32};
    shapes[layer + "linear2.weight"] = {16, 32};
    for (const char* name : {"self_attn.out_proj.bias", "linear2.bias", "norm1.weight",
                             "norm1.bias", "norm2.weight", "norm2.bias"}) {
      shapes[layer + name] = {16};
    }
  }
  if (kind == "ttm") {
    shapes["memory"] = shapes["memory_places"] = {3, 16};
    for (const auto& [name, count] : {std::pair("read", 5), std::pair("write", 3)}) {
      const std::string at = name;
      shapes[at + ".linear1.weight"] = {2 * count, 16};
      shapes[at + ".linear1.bias"] = {2 * count};
      shapes[at + ".linear2.weight"] = {count, 2 * count};
      shapes[at + ".linear2.bias"] = {count};
    }
  }
  NamedTensors tensors;
  uint32_t seed = 1000;
  for (const auto& [name, shape] : shapes) {  // in the order of their names
    const at::Tensor numbers = lcg_tensor(++seed, shape);
    const bool norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    tensors["combiner." + name] = norm ? 1 + 0.2 * numbers : 0.4 * numbers;
  }
  return tensors;
}

std::shared_ptr<const Compressor> compressor_of(const std::string& kind) {
  return load_own_compressor(checkpoint_of(config_of(kind), weights_of(kind))).compressor;
}

/// Three snippets of 6, 6 and 2 tokens, with sound in the first and the last.
ClipTokens film() {
  ClipTokens clip = clip_of(lcg_tensor(1, {14, 12}), {3, 3, 3, 3, 2});
  clip.visual.origin.pts_seconds =
      at::tensor({.0, .0, .0, .5, .5, .5, 1., 1., 1., 1.9, 1.9, 1.9, 2., 2.}, at::kDouble);
  clip.audio = AudioTokens{lcg_tensor(2, {9, 10}),
                           at::tensor({.1, .2, .3, .99, 2., 2.1, 2.2, 2.3, 2.4}, at::kDouble),
                           {},
                           {}};
  return clip;
}

CompressedTokens combined(const std::string& kind, ClipTokens clip) {
  return std::get<CompressedTokens>(compressor_of(kind)->map(std::move(clip)));
}

at::Tensor golden(const std::string& kind) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/vision/combiner.safetensors"))->get(kind));
}

}  // namespace

TEST_CASE("combiner makes of a film's snippets what torch's layers make of them") {
  const std::string kind = GENERATE("transformer", "ttm");
  const CompressedTokens out = combined(kind, film());
  CHECK_NOTHROW(validate(out));
  CHECK_THAT(out.embeddings, CloseTo(golden(kind), 1e-4, 1e-5));
  CHECK(at::equal(out.sizes, at::tensor({3.f, 3.f, 3.f, 3.f, 1.f, 1.f})));
  CHECK_THAT(out.origin.pts_seconds, CloseTo(at::tensor({.25, .25, 1.45, 1.45, 2., 2.}), 1e-9));
  REQUIRE(out.reports.size() == 1);
  CHECK(out.reports[0].method == "combiner");
  CHECK(out.reports[0].tokens_in == 14);
  CHECK(out.reports[0].tokens_out == 6);
  CHECK(std::abs(out.reports[0].fidelity) < 1);
}

TEST_CASE("combiner gives snippet by snippet what it gives all at once") {
  const std::string kind = GENERATE("transformer", "ttm");
  const Checkpoint part = compressor_part(checkpoint_of(config_of(kind), weights_of(kind)));
  const Combiner combiner(part.config().at("combiner"), part.root());
  const ClipTokens clip = film();
  const at::Tensor &video = clip.visual.features, &audio = clip.audio->features;
  at::Tensor past;
  std::vector<at::Tensor> rows{combiner(video.slice(0, 0, 6), audio.slice(0, 0, 4), past)};
  rows.push_back(combiner(video.slice(0, 6, 12), audio.slice(0, 4, 4), past));
  const at::Tensor before = rows[1].clone();
  rows.push_back(combiner(video.slice(0, 12), audio.slice(0, 4), past));
  CHECK(at::equal(rows[1], before));
  CHECK(at::equal(at::cat(rows), combined(kind, clip).embeddings));
}

TEST_CASE("combiner's snippets know those before them and none behind") {
  const std::string kind = GENERATE("transformer", "ttm");
  const at::Tensor expected = combined(kind, film()).embeddings;
  ClipTokens other = film();
  other.visual.features = other.visual.features.clone();
  other.visual.features.slice(0, 12) += 1;
  const at::Tensor later = combined(kind, other).embeddings;
  CHECK(at::equal(later.slice(0, 0, 4), expected.slice(0, 0, 4)));
  CHECK(!at::equal(later.slice(0, 4), expected.slice(0, 4)));
  other = film();
  other.audio->features = other.audio->features.clone();
  other.audio->features[0] += 1;
  CHECK(!at::equal(combined(kind, other).embeddings.slice(0, 4), expected.slice(0, 4)));
}

TEST_CASE("combiner begins anew with each source, and does without sound") {
  const std::string kind = GENERATE("transformer", "ttm");
  ClipTokens alone = film();
  alone.audio.reset();
  const at::Tensor expected = combined(kind, alone).embeddings;
  CHECK(expected.size(0) == 6);
  ClipTokens both = alone;
  both.visual.features = both.visual.features.repeat({2, 1});
  both.visual.offsets = at::tensor({0, 3, 6, 9, 12, 14, 17, 20, 23, 26, 28}, at::kInt);
  both.visual.grids.resize(10, alone.visual.grids[0]);
  both.visual.origin = lv::joined({alone.visual.origin, alone.visual.origin});
  both.visual.origin.source.slice(0, 14).fill_(1);
  const CompressedTokens out = combined(kind, both);
  CHECK(at::equal(out.embeddings, expected.repeat({2, 1})));
  CHECK(at::equal(out.origin.source, at::tensor({0, 1}, at::kInt).repeat_interleave(6)));
  both.audio = film().audio;
  CHECK_THROWS_MATCHES(combined(kind, both), Error,
                       IsError(ErrorCode::kInvalidArgument, "the sound of one source"));
  ClipTokens none = clip_of(at::empty({0, 12}), {});
  CHECK(combined(kind, none).embeddings.size(0) == 0);
}

TEST_CASE("combiner names what does not fit") {
  const auto refuses = [](const std::string& from, const std::string& to, const char* text) {
    CAPTURE(to);
    std::string config = config_of("ttm");
    config.replace(config.find(from), from.size(), to);
    CHECK_THROWS_WITH(load_own_compressor(checkpoint_of(config, weights_of("ttm"))),
                      Catch::Contains(text));
  };
  refuses("ttm", "lstm", "combiner.kind 'lstm'");
  refuses("ttm", "transformer", "memory_places");  // is left over
  refuses("\"tokens\": 2", "\"tokens\": 0", "combiner.tokens: expected 1 to");
  refuses("\"tokens\": 2", "\"tokens\": 6", "combiner.tokens: expected at most the 5");
  refuses("\"heads\": 4", "\"heads\": 5", "combiner.heads: expected a divisor of 16, got 5");
  refuses("\"depth\": 2", "\"depth\": 3", "layers.2.linear1.weight");
  refuses("_seconds\": 1", "_seconds\": 0", "combiner.snippet_seconds: expected more than 0");
  NamedTensors fewer = weights_of("ttm");
  fewer.erase("combiner.memory");
  CHECK_THROWS_WITH(load_own_compressor(checkpoint_of(config_of("ttm"), fewer)),
                    Catch::Contains("memory [3, 16]"));

  ClipTokens clip = film();
  clip.visual.origin.pts_seconds.zero_();
  CHECK_THROWS_WITH(combined("ttm", clip),
                    "combiner: expected at most 8 tokens of video in a snippet, got 14");
  clip = film();
  clip.audio->features = at::zeros({9, 11});
  CHECK_THROWS_WITH(combined("ttm", clip), Catch::Contains("combiner: audio.features"));
  clip = film();
  clip.visual.features = at::zeros({14, 11});
  CHECK_THROWS_WITH(combined("ttm", clip), Catch::Contains("visual.features"));
  CHECK_THROWS_WITH(make_compressor("combiner", {}, {"llava", {}, nullptr}),
                    Catch::Contains("compressor combiner: its weights come with a model"));
}

}  // namespace lv::vision
