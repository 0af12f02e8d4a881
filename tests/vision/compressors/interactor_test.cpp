#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

constexpr int64_t kWidth = 8, kInner = 192;

// tests/data/vision/make_nano.py makes it, of the same numbers.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/vision/nano.safetensors"))->get(name));
}

OwnCompressor own() {
  NamedTensors tensors;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    tensors[name + ".weight"] = at::empty({out, in});
    tensors[name + ".bias"] = at::empty({out});
  };
  for (const char* layer : {"interactor.decoder.layers.0.", "interactor.decoder.layers.1."}) {
    const std::string at = layer;
    for (const char* attention : {"self_attn.", "multihead_attn."}) {
      tensors[at + attention + "in_proj_weight"] = at::empty({3 * kInner, kInner});
      tensors[at + attention + "in_proj_bias"] = at::empty({3 * kInner});
      linear(at + attention + "out_proj", kInner, kInner);
    }
    linear(at + "linear1", 768, kInner);
    linear(at + "linear2", kInner, 768);
    for (const char* norm : {"norm1", "norm2", "norm3"}) {
      tensors[at + norm + ".weight"] = at::empty({kInner});
      tensors[at + norm + ".bias"] = at::empty({kInner});
    }
  }
  linear("interactor.into", kInner, kWidth);
  linear("interactor.out", kWidth, kInner);
  tensors["interactor.slope"] = at::empty({});
  tensors["interactor.offset"] = at::empty({});
  uint32_t seed = 200;
  for (auto& [name, tensor] : tensors) {
    const at::Tensor numbers = lcg_tensor(++seed, tensor.sizes());
    const bool norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    tensor = norm ? 1 + 0.2 * numbers : 0.3 * numbers;
  }
  return load_own_compressor(
      checkpoint_of(R"({"architectures": ["NanoForConditionalGeneration"]})", std::move(tensors)));
}

/// Two views of five tokens.
ClipTokens clip() {
  ClipTokens clip;
  VisualTokens& visual = clip.visual;
  visual.features = lcg_tensor(4, {10, kWidth});
  visual.offsets = at::tensor({0, 5, 10}, at::kInt);
  visual.grids = {{1, 5}, {1, 5}};
  visual.origin = {at::zeros({10}, at::kDouble), at::arange(10, at::kInt).floor_divide(5),
                   at::zeros({10, 4}), at::full({10}, kObserved, at::kByte),
                   at::zeros({10, 2}, at::kInt)};
  visual.origin.box.select(1, 2).copy_(at::arange(10) / 10);
  clip.question = lcg_tensor(5, {4, kWidth});
  return clip;
}

CompressedTokens asked(const ClipTokens& clip, const std::string& keep) {
  return std::get<CompressedTokens>(
      make_compressor("interactor", Params({{"keep", keep}}), own())->map(clip));
}

TEST_CASE("the interactor keeps of each view what the question is about, as the recipe does") {
  const CompressedTokens left = asked(clip(), "0.4");
  CHECK_THAT(left.embeddings, CloseTo(golden("asked"), 1e-4, 1e-5));
  const at::Tensor places =
      golden("places") + at::tensor({0, 0, 5, 5}, at::kLong);  // of each view, from its first
  CHECK(at::equal((left.origin.box.select(1, 2) * 10).round().to(at::kLong), places));
  REQUIRE(left.reports.size() == 1);
  CHECK(left.reports[0].method == "interactor");
  CHECK(left.reports[0].tokens_in == 10);
  CHECK(left.reports[0].tokens_out == 4);
  CHECK(left.reports[0].fidelity <= 1);
}

TEST_CASE("the interactor leaves a token of each view, and takes tokens and questions of nothing") {
  CHECK(asked(clip(), "0.01").embeddings.size(0) == 2);
  ClipTokens blank = clip();
  blank.question = at::zeros({0, kWidth});
  CHECK(asked(blank, "0.4").embeddings.size(0) == 4);
  blank.visual.features.zero_();
  CHECK(at::isfinite(asked(blank, "0.4").embeddings).all().item<bool>());
}

TEST_CASE("one view or no question goes to one method, several to the other") {
  const CompressorPtr all = compressors().make("keep_all", {}),
                      half = compressors().make("uniform", Params({{"keep", std::string("0.2")}}));
  const auto left = [&](const ClipTokens& given) {
    return std::get<CompressedTokens>(make_by_views(all, half)->map(given)).embeddings.size(0);
  };
  CHECK(left(clip()) == 2);
  ClipTokens other = clip();
  other.question.reset();
  CHECK(left(other) == 10);
  other = clip();
  other.visual.origin.source.zero_();
  CHECK(left(other) == 10);
}

TEST_CASE("the interactor says what it lacks") {
  ClipTokens silent = clip();
  silent.question.reset();
  CHECK_THROWS_MATCHES(asked(silent, "0.5"), Error,
                       IsError(ErrorCode::kFailedPrecondition, "interactor: expected a question"));
  CHECK_THROWS_MATCHES(asked(clip(), "0"), Error,
                       IsError(ErrorCode::kInvalidArgument, "interactor.keep"));
  ClipTokens other = clip();
  other.question = at::zeros({2, 3});
  CHECK_THROWS_MATCHES(asked(other, "0.5"), Error,
                       IsError(ErrorCode::kInvalidArgument, "question"));
}

}  // namespace
}  // namespace lv::vision
