#include "vision/compressors/compressors.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

/// `counts` tokens in each picture, a row of a grid each.
ClipTokens clip_of(const std::vector<int32_t>& counts, int64_t width, at::ScalarType dtype) {
  ClipTokens clip;
  int32_t total = 0;
  std::vector<int32_t> offsets{0}, source, tile;
  std::vector<double> pts;
  for (size_t p = 0; p < counts.size(); ++p) {
    offsets.push_back(total += counts[p]);
    clip.visual.grids.push_back({1, counts[p]});
    source.insert(source.end(), counts[p], 0);
    tile.insert(tile.end(), counts[p], static_cast<int32_t>(p));
    pts.insert(pts.end(), counts[p], 0.5 * static_cast<double>(p));
  }
  clip.visual.features = lcg_tensor(7, {total, width}).to(dtype);
  clip.visual.offsets = at::tensor(offsets, at::kInt);
  const at::Tensor left = at::arange(total, at::kFloat) / std::max(total, 1);
  clip.visual.origin = {at::tensor(pts, at::kDouble), at::tensor(source, at::kInt),
                        at::stack({left, at::zeros({total}), left + 0.01, at::ones({total})}, 1),
                        at::full({total}, kObserved, at::kByte),
                        at::tensor(tile, at::kInt).unsqueeze(1).repeat({1, 2})};
  return clip;
}

CompressedTokens run(const std::string& name, const std::string& params, ClipTokens clip) {
  const auto compressor = compressors().make(name, Params::parse(params));
  return std::get<CompressedTokens>(compressor->map(std::move(clip)));
}

std::string keep_of(const std::string& name, const std::string& keep) {
  return name == "keep_all" ? "" : "keep=" + keep;
}

TEST_CASE("every compressor keeps shape, type, budget, sizes and origin") {
  const auto dtype = GENERATE(at::kFloat, at::kHalf, at::kBFloat16);
  const ClipTokens clip = clip_of({12, 1, 9}, 6, dtype);
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens out = run(name, keep_of(name, "0.4"), clip);
    CHECK_NOTHROW(validate(out));
    const int64_t count = out.embeddings.size(0);
    CHECK(out.embeddings.size(1) == 6);
    CHECK(out.embeddings.scalar_type() == dtype);
    CHECK(out.embeddings.device() == clip.visual.features.device());
    CHECK(count <= (name == "keep_all" ? 22 : 4 + 1 + 3));
    CHECK(count >= 3);
    CHECK(out.sizes.sum().item<float>() == 22);
    CHECK(out.sizes.min().item<float>() >= 1);
    REQUIRE(out.reports.size() == 1);
    CHECK(out.reports[0].method == name);
    CHECK(out.reports[0].tokens_in == 22);
    CHECK(out.reports[0].tokens_out == count);
    CHECK(out.reports[0].fidelity <= 1.0001);
    CHECK(out.reports[0].fidelity > 0);
    // Reading order: time never runs back.
    const at::Tensor pts = out.origin.pts_seconds;
    CHECK((pts.slice(0, 1) >= pts.slice(0, 0, count - 1)).all().item<bool>());
    CHECK(out.origin.box.min().item<float>() >= 0);
    CHECK((out.origin.flags.bitwise_and(kObserved) != 0).all().item<bool>());
  }
}

TEST_CASE("every compressor hands tokens on bit for bit when all are kept") {
  const ClipTokens clip = clip_of({5, 8}, 4, at::kFloat);
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens out = run(name, keep_of(name, "1"), clip);
    CHECK(at::equal(out.embeddings, clip.visual.features));
    CHECK(at::equal(out.sizes, at::ones({13})));
    CHECK(at::equal(out.origin.pts_seconds, clip.visual.origin.pts_seconds));
    CHECK(at::equal(out.origin.source, clip.visual.origin.source));
    CHECK(at::equal(out.origin.box, clip.visual.origin.box));
    CHECK(at::equal(out.origin.flags, clip.visual.origin.flags));
    CHECK(at::equal(out.origin.tile, clip.visual.origin.tile));
    CHECK(out.reports.at(0).fidelity == Approx(1));
  }
}

TEST_CASE("every compressor makes nothing of nothing") {
  const auto counts = GENERATE(std::vector<int32_t>{}, std::vector<int32_t>{0, 0});
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens out = run(name, keep_of(name, "0.5"), clip_of(counts, 4, at::kFloat));
    CHECK_NOTHROW(validate(out));
    CHECK(out.embeddings.sizes() == at::IntArrayRef({0, 4}));
  }
}

TEST_CASE("every compressor does the same twice") {
  const ClipTokens clip = clip_of({30}, 8, at::kFloat);
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens a = run(name, keep_of(name, "0.3"), clip);
    const CompressedTokens b = run(name, keep_of(name, "0.3"), clip);
    CHECK(at::equal(a.embeddings, b.embeddings));
    CHECK(at::equal(a.origin.box, b.origin.box));
  }
}

TEST_CASE("every compressor treats each picture by itself") {
  const ClipTokens both = clip_of({10, 14}, 6, at::kFloat);
  ClipTokens second = clip_of({14}, 6, at::kFloat);
  second.visual.features = both.visual.features.slice(0, 10);
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens a = run(name, keep_of(name, "0.5"), both);
    const CompressedTokens b = run(name, keep_of(name, "0.5"), second);
    const int64_t count = b.embeddings.size(0);
    CHECK_THAT(a.embeddings.slice(0, a.embeddings.size(0) - count), CloseTo(b.embeddings));
  }
}

TEST_CASE("compressors refuse what they do not know, and shares out of range") {
  for (const std::string& name : compressors().names()) {
    INFO(name);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("colour=red")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=0")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=1.5")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=0.5,tokens=3")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("over=week")), Error);
  }
  CHECK_THROWS_AS(compressors().make("tome", Params::parse("steps=0")), Error);
  CHECK_THROWS_AS(compressors().make("zip", Params()), Error);
}

TEST_CASE("uniform keeps the middle of each run") {
  const CompressedTokens out = run("uniform", "tokens=3", clip_of({8}, 2, at::kFloat));
  const at::Tensor all = lcg_tensor(7, {8, 2});
  CHECK(at::equal(out.embeddings, all.index_select(0, at::tensor({1, 3, 6}, at::kLong))));
  CHECK(at::equal(out.sizes, at::tensor({2.f, 3.f, 3.f})));
}

TEST_CASE("tokens merged from several tiles say so and stay in the first one's") {
  const TokenOrigin within = run("tome", "tokens=1", clip_of({4, 4}, 3, at::kFloat)).origin;
  CHECK(at::equal(within.flags, at::full({2}, kObserved | kMerged, at::kByte)));
  CHECK(at::equal(within.tile, at::tensor({0, 0, 1, 1}, at::kInt).view({2, 2})));
  CHECK(at::equal(within.pts_seconds, at::tensor({0.0, 0.5}, at::kDouble)));
  const TokenOrigin across =
      run("tome", "tokens=1,over=clip", clip_of({4, 4}, 3, at::kFloat)).origin;
  CHECK(at::equal(across.flags, at::full({1}, kObserved | kMerged | kSpread, at::kByte)));
  CHECK(at::equal(across.tile, at::zeros({1, 2}, at::kInt)));
}

TEST_CASE("pool averages neighbouring cells of the grid") {
  ClipTokens clip = clip_of({16}, 1, at::kFloat);
  clip.visual.grids = {{4, 4}};
  clip.visual.features = at::arange(16, at::kFloat).unsqueeze(1);
  const CompressedTokens out = run("pool", "keep=0.25", clip);
  CHECK(at::equal(out.embeddings.squeeze(1), at::tensor({2.5f, 4.5f, 10.5f, 12.5f})));
  CHECK(at::equal(out.sizes, at::full({4}, 4.f)));
  CHECK(at::equal(out.origin.flags, at::full({4}, kObserved | kMerged, at::kByte)));
}

}  // namespace
}  // namespace lv::vision
