#include "vision/compressors/compressors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

#include "pipeline/base/error.h"
#include "tests/vision/compressors/small_clips.h"

namespace lv::vision {
namespace {

/// `counts` tokens in each picture, which are tiles of their own.
ClipTokens tiles_clip(const std::vector<int32_t>& counts, int64_t width, at::ScalarType dtype) {
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  ClipTokens clip = clip_of(lcg_tensor(7, {total, width}).to(dtype), counts);
  std::vector<int32_t> tile;
  for (size_t p = 0; p < counts.size(); ++p) {
    tile.insert(tile.end(), counts[p], static_cast<int32_t>(p));
  }
  clip.visual.origin.tile = at::tensor(tile, at::kInt).unsqueeze(1).repeat({1, 2});
  clip.visual.saliency = (lcg_tensor(8, {total}) + 1) / 2;
  return clip;
}

/// What a method may leave of so many tokens of one picture.
int64_t most_of(const std::string& method, int64_t count, double keep) {
  if (method == "keep_all" || method == "dycoke") return count;  // stills stay whole
  if (method == "fastv") return count;  // in the first layers of who reads them
  // As they were published, their shares round up.
  const double left = static_cast<double>(count) * keep;
  if (method == "flashvid" || method == "holitom") return std::llround(std::ceil(left - 1e-9));
  return std::max<int64_t>(1, static_cast<int64_t>(left + 1e-9));
}

CompressedTokens run(const std::string& name, const std::string& params, ClipTokens clip) {
  const auto compressor = compressors().make(name, Params::parse(params));
  return std::get<CompressedTokens>(compressor->map(std::move(clip)));
}

std::string keep_of(const std::string& name, const std::string& keep) {
  return name == "keep_all" ? "" : "keep=" + keep;
}

/// Whether each token's box lies within one of the rows'.
bool covered(const TokenOrigin& rows, const TokenOrigin& tokens) {
  const at::Tensor inside = (rows.box.select(1, 0).unsqueeze(1) <= tokens.box.select(1, 0)) &
                            (rows.box.select(1, 2).unsqueeze(1) >= tokens.box.select(1, 2));
  return inside.any(0).all().item<bool>();
}

TEST_CASE("every compressor keeps shape, type, budget, sizes and origin at every share") {
  const auto dtype = GENERATE(at::kFloat, at::kHalf, at::kBFloat16);
  const auto keep = GENERATE(1., .5, .4, .25, .1, .05);
  const ClipTokens clip = tiles_clip({12, 1, 9}, 6, dtype);
  for (const std::string& name : compressors().names()) {
    CAPTURE(name, keep);
    const CompressedTokens out = run(name, keep_of(name, std::to_string(keep)), clip);
    CHECK_NOTHROW(validate(out));
    const int64_t count = out.embeddings.size(0);
    CHECK(out.embeddings.size(1) == 6);
    CHECK(out.embeddings.scalar_type() == dtype);
    CHECK(out.embeddings.device() == clip.visual.features.device());
    CHECK(count <= most_of(name, 12, keep) + most_of(name, 1, keep) + most_of(name, 9, keep));
    CHECK(count >= 3);
    CHECK(out.sizes.sum().item<float>() == 22);
    CHECK(out.sizes.min().item<float>() >= 1);
    REQUIRE(out.reports.size() == 1);
    CHECK(out.reports[0].method == name);
    CHECK(out.reports[0].tokens_in == 22);
    CHECK(out.reports[0].tokens_out == left_of(count, out.pruning));
    CHECK((out.pruning.keep < 1) == (name == "fastv" && keep < 1));
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
  const ClipTokens clip = tiles_clip({5, 8}, 4, at::kFloat);
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
    const CompressedTokens out = run(name, keep_of(name, "0.5"), tiles_clip(counts, 4, at::kFloat));
    CHECK_NOTHROW(validate(out));
    CHECK(out.embeddings.sizes() == at::IntArrayRef({0, 4}));
  }
}

TEST_CASE("every compressor does the same twice") {
  const ClipTokens clip = tiles_clip({30}, 8, at::kFloat);
  for (const std::string& name : compressors().names()) {
    INFO(name);
    const CompressedTokens a = run(name, keep_of(name, "0.3"), clip);
    const CompressedTokens b = run(name, keep_of(name, "0.3"), clip);
    CHECK(at::equal(a.embeddings, b.embeddings));
    CHECK(at::equal(a.origin.box, b.origin.box));
  }
}

TEST_CASE("every compressor treats each picture by itself") {
  const ClipTokens both = tiles_clip({10, 14}, 6, at::kFloat);
  ClipTokens second = tiles_clip({14}, 6, at::kFloat);
  second.visual.features = both.visual.features.slice(0, 10);
  second.visual.saliency = both.visual.saliency.slice(0, 10);
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
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=-0.5")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=nan")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("tokens=0")), Error);
    CHECK_THROWS_WITH(compressors().make(name, Params::parse("keep=x")),
                      Catch::Contains(name) && Catch::Contains("keep"));
    CHECK_THROWS_AS(compressors().make(name, Params::parse("keep=0.5,tokens=3")), Error);
    CHECK_THROWS_AS(compressors().make(name, Params::parse("over=week")), Error);
  }
  CHECK_THROWS_AS(compressors().make("tome", Params::parse("steps=0")), Error);
  CHECK_THROWS_AS(compressors().make("zip", Params()), Error);
}

TEST_CASE("every compressor chooses the same at half precision") {
  const ClipTokens half = film_clip(film_of(71, 6, 25, 8, 0.3).to(at::kBFloat16));
  ClipTokens whole = half;
  whole.visual.features = half.visual.features.to(at::kFloat);
  for (const std::string& name : compressors().names()) {
    if (name == "visionzip" || name == "prumerge") continue;  // need attention
    if (name == "fastv") continue;                            // chooses nothing
    INFO(name);
    const VisualTokens a = reduced(name, keep_of(name, "0.3"), half);
    const VisualTokens b = reduced(name, keep_of(name, "0.3"), whole);
    CHECK(a.features.scalar_type() == at::kBFloat16);
    CHECK(at::equal(a.sizes.defined() ? a.sizes : at::ones({1}),
                    b.sizes.defined() ? b.sizes : at::ones({1})));
    CHECK(at::equal(a.origin.box, b.origin.box));
  }
}

/// Lists of methods, each with what it keeps of what the one before left.
std::vector<std::pair<std::string, std::string>> random_list(uint32_t seed) {
  const std::vector<std::string> names = compressors().names();
  const at::Tensor draws = (lcg_tensor(seed, {8}) + 1) / 2;
  std::vector<std::pair<std::string, std::string>> list;
  for (int64_t i = 0; i < 1 + static_cast<int64_t>(draws[0].item<float>() * 3.99); ++i) {
    const auto n = static_cast<size_t>(draws[1 + 2 * i].item<float>() *
                                       static_cast<float>(names.size()) * 0.999F);
    if ((names[n] == "pool" || names[n] == "sttm") && i > 0) continue;  // need the encoder's grid
    if (names[n] == "fastv") continue;                                  // nothing goes on from it
    const double keep = std::max(0.05, draws[2 + 2 * i].item<double>());
    list.emplace_back(names[n], keep_of(names[n], std::to_string(keep)));
  }
  return list;
}

CompressorPtr chain_of(const std::vector<std::pair<std::string, std::string>>& list) {
  std::vector<CompressorPtr> methods;
  for (const auto& [name, params] : list) {
    methods.push_back(compressors().make(name, Params::parse(params)));
  }
  return make_chain(std::move(methods));
}

TEST_CASE("every compressor leaves on a GPU what it leaves on the CPU", "[.gpu]") {
  ClipTokens here = film_clip(film_of(5, 6, 24, 16, 0.1));
  here.visual.saliency = saliency_of(5, 6, 24);
  ClipTokens there = here;
  there.visual.features = there.visual.features.to(at::kCUDA);
  for (const std::string& name : compressors().names()) {
    CAPTURE(name);
    const Params params = Params::parse(keep_of(name, "0.25"));
    const auto chain = make_chain({compressors().make(name, params)});
    const auto expected = std::get<CompressedTokens>(chain->map(here));
    const auto left = std::get<CompressedTokens>(chain->map(there));
    CHECK_THAT(left.embeddings.cpu(), CloseTo(expected.embeddings, 1e-5));
    CHECK(left.sizes.equal(expected.sizes));
    CHECK(left.origin.box.equal(expected.origin.box));
    CHECK(left.origin.source.device().is_cpu());
  }
}

TEST_CASE("lists of methods: what comes out stands for all that went in, once each") {
  const auto seed = GENERATE(range(100u, 160u));
  ClipTokens clip = film_clip(film_of(seed, 8, 16, 6, 0.3));
  clip.visual.saliency = saliency_of(seed, 8, 16);
  auto list = random_list(seed);
  if (list.empty()) list = {{"tome", "keep=0.5"}};
  std::string text;
  for (const auto& [name, params] : list) text += name + ":" + params + " ";
  INFO(text);
  const CompressedTokens out = std::get<CompressedTokens>(chain_of(list)->map(clip));
  CHECK_NOTHROW(validate(out));
  CHECK(out.sizes.sum().item<float>() == 128);
  REQUIRE(out.reports.size() == list.size());
  int64_t tokens = 128;
  bool drops = false;
  for (size_t i = 0; i < list.size(); ++i) {
    CHECK(out.reports[i].method == list[i].first);
    CHECK(out.reports[i].tokens_in == tokens);
    CHECK(out.reports[i].tokens_out <= tokens);
    tokens = out.reports[i].tokens_out;
    const std::string& name = list[i].first;
    drops = drops || name == "uniform" || name == "dycoke" || name == "holitom" ||
            name == "visionzip" || name == "flashvid";
  }
  CHECK(out.embeddings.size(0) == tokens);
  // Where nothing was dropped, the boxes cover the whole row of places; a dropped token leaves a
  // gap.
  CHECK(out.origin.box.select(1, 0).min().item<float>() >= 0);
  CHECK(out.origin.box.select(1, 2).max().item<float>() <= 1.01F);
  if (!drops) {
    CHECK(covered(out.origin, clip.visual.origin));
  }
}

TEST_CASE("merging methods: every token lies within the box of a row") {
  const auto name = GENERATE("tome", "pool", "flashvid", "prumerge", "sttm", "keep_all");
  const auto keep = GENERATE("0.2", "0.25", "0.5");
  ClipTokens clip = film_clip(film_of(72, 6, 25, 8, 0.3));
  clip.visual.saliency = saliency_of(72, 6, 25);
  const VisualTokens left = reduced(name, keep_of(name, keep), clip);
  CHECK(covered(left.origin, clip.visual.origin));
}

TEST_CASE("a list does what its methods do one after the other") {
  ClipTokens clip = film_clip(film_of(73, 4, 20, 6, 0.2));
  clip.visual.saliency = saliency_of(73, 4, 20);
  const auto both = std::get<CompressedTokens>(
      chain_of({{"tome", "keep=0.5"}, {"holitom", "keep=0.2"}})->map(clip));
  ClipTokens half = clip;
  half.visual = reduced("tome", "keep=0.5", clip);
  CHECK(at::equal(half.visual.offsets, at::tensor({0, 10, 20, 30, 40}, at::kInt)));
  const VisualTokens left = reduced("holitom", "keep=0.2", half);
  CHECK(at::equal(both.embeddings, left.features));
  CHECK(at::equal(both.sizes, left.sizes));
  CHECK(both.reports[0].tokens_out == 40);
  CHECK(both.reports[1].tokens_in == 40);
}

/// Makes weights, as trained methods do.
class Weights : public Compressor {
 public:
  VisualContext map(ClipTokens) const override { return AdapterWeights{}; }
};

TEST_CASE("a list ends with what makes weights, and checks what it is given") {
  const auto weights = std::make_shared<const Weights>();
  const CompressorPtr tome = compressors().make("tome", Params::parse("keep=0.5"));
  CHECK_THROWS_WITH(
      make_chain({weights, tome}),
      "compression: method 1 of 2 is one that no other goes on from; expected it last");
  CHECK_THROWS_AS(make_chain({}), Error);
  const CompressorPtr chain = make_chain({tome, weights});
  ClipTokens clip = tiles_clip({4}, 2, at::kFloat);
  CHECK(std::holds_alternative<AdapterWeights>(chain->map(clip)));
  clip.visual.features[1][0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(chain->map(clip), Catch::Contains("visual.features"));
}

TEST_CASE("pool says so where an earlier method took the grid away") {
  ClipTokens clip = tiles_clip({16}, 2, at::kFloat);
  clip.visual.grids = {{4, 4}};
  CHECK_THROWS_WITH(chain_of({{"tome", "keep=0.5"}, {"pool", "keep=0.5"}})->map(clip),
                    Catch::Contains("pool: expected one token a cell"));
}

TEST_CASE("fastv tells the language model what to leave out of what another method left") {
  const auto made = chain_of({{"uniform", "keep=0.5"}, {"fastv", "keep=0.25,layer=3"}});
  const auto out = std::get<CompressedTokens>(made->map(tiles_clip({16}, 2, at::kFloat)));
  CHECK(out.embeddings.size(0) == 8);
  CHECK(out.pruning == LayerPruning{3, 0.25});
  REQUIRE(out.reports.size() == 2);
  CHECK(out.reports[1].tokens_in == 8);
  CHECK(out.reports[1].tokens_out == 2);
  CHECK_THROWS_WITH(chain_of({{"fastv", ""}, {"tome", "keep=0.5"}}),
                    Catch::Contains("method 1 of 2"));
  CHECK_THROWS_WITH(compressors().make("fastv", Params::parse("layer=0")),
                    Catch::Contains("fastv.layer: expected at least 1"));
}

TEST_CASE("uniform keeps the middle of each run") {
  const CompressedTokens out = run("uniform", "tokens=3", tiles_clip({8}, 2, at::kFloat));
  const at::Tensor all = lcg_tensor(7, {8, 2});
  CHECK(at::equal(out.embeddings, all.index_select(0, at::tensor({1, 3, 6}, at::kLong))));
  CHECK(at::equal(out.sizes, at::tensor({2.f, 3.f, 3.f})));
}

TEST_CASE("tokens merged from several tiles say so and stay in the first one's") {
  const TokenOrigin within = run("tome", "tokens=1", tiles_clip({4, 4}, 3, at::kFloat)).origin;
  CHECK(at::equal(within.flags, at::full({2}, kObserved | kMerged, at::kByte)));
  CHECK(at::equal(within.tile, at::tensor({0, 0, 1, 1}, at::kInt).view({2, 2})));
  CHECK(at::equal(within.pts_seconds, at::tensor({0.0, 0.5}, at::kDouble)));
  const TokenOrigin across =
      run("tome", "tokens=1,over=clip", tiles_clip({4, 4}, 3, at::kFloat)).origin;
  CHECK(at::equal(across.flags, at::full({1}, kObserved | kMerged | kSpread, at::kByte)));
  CHECK(at::equal(across.tile, at::zeros({1, 2}, at::kInt)));
}

TEST_CASE("pool averages neighbouring cells of the grid") {
  ClipTokens clip = tiles_clip({16}, 1, at::kFloat);
  clip.visual.grids = {{4, 4}};
  clip.visual.features = at::arange(16, at::kFloat).unsqueeze(1);
  const CompressedTokens out = run("pool", "keep=0.25", clip);
  CHECK(at::equal(out.embeddings.squeeze(1), at::tensor({2.5f, 4.5f, 10.5f, 12.5f})));
  CHECK(at::equal(out.sizes, at::full({4}, 4.f)));
  CHECK(at::equal(out.origin.flags, at::full({4}, kObserved | kMerged, at::kByte)));
}

}  // namespace
}  // namespace lv::vision
