#include <ATen/ATen.h>

#include <array>
#include <map>
#include <numeric>

#include "pipeline/base/json.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/tome_params.h"
#include "vision/kernels/token_matching.h"

namespace lv::vision {
namespace {

/// The method in its plainest form, in float64: what the tensor code is tested against.
class NaiveTome {
 public:
  explicit NaiveTome(const at::Tensor& features) {
    for (int64_t i = 0; i < features.size(0); ++i) {
      Row row{{}, 1, {i}};
      for (int64_t d = 0; d < features.size(1); ++d) {
        row.mean.push_back(features[i][d].item<double>());
      }
      rows_.push_back(row);
    }
  }

  void step(int64_t r, bool class_token) {
    const int64_t count = static_cast<int64_t>(rows_.size());
    r = std::min(r, (count - (class_token ? 1 : 0)) / 2);
    if (r <= 0) return;
    std::vector<double> score;
    std::vector<int64_t> likest, order;
    for (int64_t i = 0; i < count; i += 2) {
      double best = -1e30;
      int64_t at = 1;
      for (int64_t j = 1; j < count; j += 2) {
        const double s = cosine(rows_[i], rows_[j]);
        if (s > best) best = s, at = j;
      }
      score.push_back(class_token && i == 0 ? -1e300 : best);
      likest.push_back(at);
      order.push_back(i / 2);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return score[a] > score[b]; });
    if (class_token) std::sort(order.begin() + r, order.end());
    for (int64_t k = 0; k < r; ++k) join(rows_[likest[order[k]]], rows_[2 * order[k]]);
    std::vector<Row> next;
    for (size_t k = r; k < order.size(); ++k) next.push_back(rows_[2 * order[k]]);
    for (int64_t j = 1; j < count; j += 2) next.push_back(rows_[j]);
    rows_ = next;
  }

  struct Row {
    std::vector<double> mean;
    double size;
    std::vector<int64_t> members;  // the row's own token first
  };
  const std::vector<Row>& rows() const { return rows_; }

  /// In the order of each row's own token.
  std::vector<Row> in_reading_order() const {
    std::vector<Row> sorted = rows_;
    std::sort(sorted.begin(), sorted.end(),
              [](const Row& a, const Row& b) { return a.members[0] < b.members[0]; });
    return sorted;
  }

 private:
  static double cosine(const Row& a, const Row& b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t d = 0; d < a.mean.size(); ++d) {
      ab += a.mean[d] * b.mean[d];
      aa += a.mean[d] * a.mean[d];
      bb += b.mean[d] * b.mean[d];
    }
    return ab / std::sqrt(aa * bb);
  }

  static void join(Row& into, const Row& from) {
    for (size_t d = 0; d < into.mean.size(); ++d) {
      into.mean[d] =
          (into.mean[d] * into.size + from.mean[d] * from.size) / (into.size + from.size);
    }
    into.size += from.size;
    into.members.insert(into.members.end(), from.members.begin(), from.members.end());
  }

  std::vector<Row> rows_;
};

at::Tensor means_of(const std::vector<NaiveTome::Row>& rows) {
  std::vector<at::Tensor> all;
  for (const auto& row : rows) all.push_back(at::tensor(row.mean, at::kDouble));
  return at::stack(all);
}

at::Tensor sizes_of(const std::vector<NaiveTome::Row>& rows) {
  std::vector<float> all;
  for (const auto& row : rows) all.push_back(static_cast<float>(row.size));
  return at::tensor(all);
}

MergeState step(const MergeState& state, int64_t r, bool class_token) {
  return merge(state, match_bipartite(state.features, r, class_token));
}

TEST_CASE("one merging step of six tokens by hand") {
  const at::Tensor x =
      at::tensor({1.f, 0.f, 0.f, 1.f, 1.f, .1f, 0.f, 1.1f, .9f, .2f, 1.f, 1.f}).view({6, 2});
  const MergeState next = step(unmerged(x.unsqueeze(0)), 2, true);
  CHECK_THAT(
      next.features[0],
      CloseTo(at::tensor({1.f, 0.f, 0.f, 1.f, 0.f, 1.1f, .9666667f, .4333333f}).view({4, 2})));
  CHECK(at::equal(next.sizes[0], at::tensor({1.f, 1.f, 1.f, 3.f})));
  CHECK(at::equal(next.positions[0], at::tensor({0, 1, 3, 5}, at::kLong)));
  CHECK(at::equal(next.row_of[0], at::tensor({0, 1, 3, 2, 3, 3}, at::kLong)));
}

TEST_CASE("two merging steps of generated tokens have their golden values") {
  const MergeState first = step(unmerged(lcg_tensor(1, {1, 8, 4})), 2, true);
  CHECK(at::equal(first.sizes[0], at::tensor({1.f, 1.f, 1.f, 1.f, 2.f, 2.f})));
  CHECK_THAT(first.features[0][5],
             CloseTo(at::tensor({-0.607237f, 0.458151f, 0.513588f, -0.443414f}), 0, 2e-6));
  const MergeState second = step(first, 2, true);
  CHECK(at::equal(second.sizes[0], at::tensor({1.f, 1.f, 1.f, 5.f})));
  CHECK_THAT(second.features[0][3],
             CloseTo(at::tensor({-0.729703f, 0.028580f, 0.043739f, -0.258387f}), 0, 2e-6));
}

TEST_CASE("a merging step equals the plain form of the method") {
  const int64_t count = GENERATE(1, 2, 3, 16, 49, 50);
  const int64_t r = GENERATE(0, 1, 7, 100);
  const bool class_token = GENERATE(false, true);
  const at::Tensor x = lcg_tensor(static_cast<uint32_t>(count), {count, 5});
  NaiveTome plain(x);
  MergeState state = unmerged(x.unsqueeze(0));
  for (int i = 0; i < 3; ++i) {
    plain.step(r, class_token);
    state = step(state, r, class_token);
    CHECK_THAT(state.features[0], CloseTo(means_of(plain.rows()), 1e-4, 1e-5));
    CHECK(at::equal(state.sizes[0], sizes_of(plain.rows())));
  }
}

TEST_CASE("a merging step leaves the sum of sizes and the weighted mean alone") {
  const at::Tensor x = lcg_tensor(3, {61, 7});
  MergeState state = unmerged(x.unsqueeze(0));
  for (int i = 0; i < 5; ++i) {
    state = step(state, 9, false);
    CHECK(state.sizes[0].sum().item<float>() == 61);
    CHECK_THAT((state.features[0] * state.sizes[0].unsqueeze(1)).sum(0) / 61,
               CloseTo(x.mean(0), 1e-4));
  }
}

TEST_CASE("a merging step breaks ties by the lower index, and survives zeros") {
  const MergeState same = step(unmerged(at::ones({1, 6, 3})), 2, false);
  CHECK(at::equal(same.positions[0], at::tensor({4, 1, 3, 5}, at::kLong)));
  CHECK(at::equal(same.sizes[0], at::tensor({1.f, 3.f, 1.f, 1.f})));
  const MergeState zeros = step(unmerged(at::zeros({1, 5, 3})), 2, false);
  CHECK(at::equal(zeros.features[0], at::zeros({3, 3})));
}

TEST_CASE("AuroraCap's pairs a layer leave its token counts of a frame") {
  // 31 of 32 layers over the 729 patches of a picture of 378 pixels.
  const std::map<int64_t, int64_t> expected{{0, 729},  {2, 667},  {4, 605},  {11, 388}, {13, 326},
                                            {15, 264}, {18, 171}, {20, 109}, {21, 78},  {22, 47}};
  for (const auto& [pairs, tokens] : expected) {
    MergeState state = unmerged(lcg_tensor(5, {1, 730, 4}));
    for (int layer = 0; layer < 31; ++layer) state = step(state, pairs, true);
    CHECK(state.sizes.size(1) - 1 == tokens);
    CHECK(state.sizes.sum().item<float>() == 730);
  }
}

TEST_CASE("groups merge side by side as each would alone") {
  const bool class_token = GENERATE(false, true);
  const at::Tensor x = lcg_tensor(9, {3, 17, 5});
  MergeState together = unmerged(x);
  std::vector<MergeState> alone;
  for (int64_t b = 0; b < 3; ++b) alone.push_back(unmerged(x.slice(0, b, b + 1)));
  for (int i = 0; i < 2; ++i) {
    together = step(together, 4, class_token);
    for (int64_t b = 0; b < 3; ++b) {
      alone[b] = step(alone[b], 4, class_token);
      CHECK_THAT(together.features[b], CloseTo(alone[b].features[0], 1e-6, 1e-6));
      CHECK(at::equal(together.sizes[b], alone[b].sizes[0]));
      CHECK(at::equal(together.positions[b], alone[b].positions[0]));
      CHECK(at::equal(together.row_of[b], alone[b].row_of[0]));
    }
  }
}

ClipTokens clip_of(const at::Tensor& features, const std::vector<int32_t>& offsets) {
  ClipTokens clip;
  const int64_t count = features.size(0);
  clip.visual.features = features;
  clip.visual.offsets = at::tensor(offsets, at::kInt);
  clip.visual.grids.resize(offsets.size() - 1);
  const at::Tensor left = at::arange(count, at::kFloat) / count;
  clip.visual.origin = {at::arange(count, at::kDouble), at::zeros({count}, at::kInt),
                        at::stack({left, left, left + 0.1, left + 0.2}, 1),
                        at::full({count}, kObserved, at::kByte), at::zeros({count, 2}, at::kInt)};
  return clip;
}

CompressedTokens tome(const std::string& params, const ClipTokens& clip) {
  return std::get<CompressedTokens>(compressors().make("tome", Params::parse(params))->map(clip));
}

TEST_CASE("tome equals the plain form of the method, with its origin") {
  const at::Tensor x = lcg_tensor(11, {40, 6});
  const CompressedTokens out = tome("tokens=9,steps=4", clip_of(x, {0, 40}));
  NaiveTome plain(x);
  for (int64_t r : {8, 8, 8, 7}) plain.step(r, false);
  const auto rows = plain.in_reading_order();
  REQUIRE(rows.size() == 9);
  CHECK_THAT(out.embeddings, CloseTo(means_of(rows), 1e-4, 1e-5));
  CHECK(at::equal(out.sizes, sizes_of(rows)));
  double cosines = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& members = rows[i].members;
    const auto [low, high] = std::minmax_element(members.begin(), members.end());
    const double mean = std::accumulate(members.begin(), members.end(), 0.0) / rows[i].size;
    const auto row = static_cast<int64_t>(i);
    CHECK(out.origin.pts_seconds[row].item<double>() == Approx(mean));
    CHECK(out.origin.box[row][0].item<float>() == Approx(*low / 40.0));
    CHECK(out.origin.box[row][3].item<float>() == Approx(*high / 40.0 + 0.2));
    CHECK(out.origin.flags[row].item<int>() ==
          (members.size() > 1 ? kObserved | kMerged | kSpread : kObserved));
    for (const int64_t m : members) {
      cosines +=
          at::cosine_similarity(x[m], at::tensor(rows[i].mean).to(at::kFloat), 0).item<double>();
    }
  }
  CHECK(out.reports.at(0).fidelity == Approx(cosines / 40).epsilon(1e-4));
}

TEST_CASE("tome equals a plain Python version") {
  const Json golden = read_json_file(data("tests/data/vision/tome.json"));
  for (const Json& c : golden.at("cases").as_array()) {
    INFO(c.at("params").as_string());
    const auto seed = static_cast<uint32_t>(c.at("seed").as_int());
    const int64_t count = c.at("tokens").as_int(), width = c.at("width").as_int();
    const CompressedTokens out =
        tome(c.at("params").as_string(),
             clip_of(lcg_tensor(seed, {count, width}), {0, static_cast<int32_t>(count)}));
    std::vector<float> sizes, first;
    for (const Json& row : c.at("rows").as_array()) {
      sizes.push_back(static_cast<float>(row.as_array()[0].as_double()));
      first.push_back(static_cast<float>(row.as_array()[1].as_double()));
    }
    CHECK(at::equal(out.sizes, at::tensor(sizes)));
    CHECK_THAT(out.embeddings.select(1, 0), CloseTo(at::tensor(first), 1e-4, 1e-5));
  }
}

TEST_CASE("tome over a clip merges across pictures, over pictures it does not") {
  const at::Tensor one = lcg_tensor(2, {6, 8});
  const ClipTokens twice = clip_of(at::cat({one, one}), {0, 6, 12});
  const CompressedTokens apart = tome("keep=0.5,over=picture", twice);
  CHECK(apart.embeddings.size(0) == 6);
  CHECK_THAT(apart.embeddings.slice(0, 3), CloseTo(apart.embeddings.slice(0, 0, 3)));
  const CompressedTokens together = tome("keep=0.5,over=clip,steps=1", twice);
  CHECK(together.embeddings.size(0) == 6);
  CHECK(together.reports.at(0).fidelity >= apart.reports.at(0).fidelity - 1e-6);
}

TEST_CASE("tome hands on what merged between the encoder's layers") {
  ClipTokens clip = clip_of(lcg_tensor(6, {12, 4}), {0, 12});
  clip.visual.sizes = at::full({12}, 2.f);
  clip.visual.reports = {{"tome", 0.5, 24, 12, 0.9, 1}};
  for (const char* params : {"keep=0.5", "keep=0.5,at=layers", "prop_attn=key"}) {
    const CompressedTokens out = tome(params, clip);
    CHECK(at::equal(out.embeddings, clip.visual.features));
    CHECK(at::equal(out.sizes, clip.visual.sizes));
    REQUIRE(out.reports.size() == 1);
    CHECK(out.reports[0].tokens_in == 24);
  }
  const CompressedTokens again = tome("keep=0.5,at=tokens", clip);
  CHECK(again.embeddings.size(0) == 6);
  CHECK(again.sizes.sum().item<float>() == 24);
  CHECK(again.reports.size() == 2);
  clip.visual.reports.clear();
  CHECK(tome("keep=0.5", clip).embeddings.size(0) == 6);
  CHECK_THROWS_MATCHES(tome("keep=0.5,at=layers", clip), Error,
                       IsError(ErrorCode::kFailedPrecondition, "tome.at: expected tokens that"));
}

TEST_CASE("tome's parameters say which are for which place") {
  using At = TomeParams::At;
  const auto at_of = [](const char* text) { return TomeParams(Params::parse(text)).at; };
  CHECK(at_of("keep=0.5") == At::kEither);
  CHECK(at_of("at=layers") == At::kLayers);
  CHECK(at_of("schedule=constant") == At::kLayers);
  CHECK(at_of("at=tokens") == At::kTokens);
  CHECK(at_of("tokens=9") == At::kTokens);
  const auto [text, part] =
      GENERATE(table<const char*, const char*>({{"at=here", "tome.at: expected layers or tokens"},
                                                {"at=layers,tokens=9", "tome.tokens: merging"},
                                                {"at=tokens,prop_attn=off", "tome.prop_attn: merg"},
                                                {"schedule=linear", "tome.schedule: expected"},
                                                {"prop_attn=query", "tome.prop_attn: expected"},
                                                {"steps=0", "tome.steps: expected at least 1"},
                                                {"keep=0", "tome.keep: expected"}}));
  CHECK_THROWS_MATCHES(TomeParams(Params::parse(text)), Error,
                       IsError(ErrorCode::kInvalidArgument, part));
}

TEST_CASE("tome never keeps less than one token of a picture") {
  const CompressedTokens out = tome("keep=0.001", clip_of(lcg_tensor(4, {9, 3}), {0, 4, 9}));
  CHECK(at::equal(out.sizes, at::tensor({4.f, 5.f})));
}

}  // namespace
}  // namespace lv::vision
