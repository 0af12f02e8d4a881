#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/base/params.h"
#include "tests/support/close_to.h"
#include "vision/compressors/compressors.h"

namespace lv::vision {

/// Features [M, D] as pictures of `counts` tokens each, a row of a grid each, half a second apart.
inline ClipTokens clip_of(const at::Tensor& features, const std::vector<int32_t>& counts) {
  ClipTokens clip;
  const auto total = static_cast<int32_t>(features.size(0));
  std::vector<int32_t> offsets{0};
  std::vector<double> pts;
  for (size_t p = 0; p < counts.size(); ++p) {
    offsets.push_back(offsets.back() + counts[p]);
    clip.visual.grids.push_back({1, counts[p]});
    pts.insert(pts.end(), counts[p], 0.5 * static_cast<double>(p));
  }
  clip.visual.features = features;
  clip.visual.offsets = at::tensor(offsets, at::kInt);
  const at::Tensor left = at::arange(total, at::kFloat) / std::max(total, 1);
  clip.visual.origin = {at::tensor(pts, at::kDouble), at::zeros({total}, at::kInt),
                        at::stack({left, at::zeros({total}), left + 0.01, at::ones({total})}, 1),
                        at::full({total}, kObserved, at::kByte), at::zeros({total, 2}, at::kInt)};
  return clip;
}

/// Features [F, N, D] as frames of a film.
inline ClipTokens film_clip(const at::Tensor& features) {
  return clip_of(features.flatten(0, 1),
                 std::vector<int32_t>(features.size(0), static_cast<int32_t>(features.size(1))));
}

/// Two scenes, each a picture that drifts.
inline at::Tensor film_of(uint32_t seed, int64_t frames, int64_t tokens, int64_t width,
                          double drift) {
  const at::Tensor half = (at::arange(frames, at::kLong) * 2).floor_divide(frames);
  return lcg_tensor(seed, {2, tokens, width}).index_select(0, half) +
         drift * lcg_tensor(seed + 1, {frames, tokens, width});
}

/// How much each token of that film is attended to, [F * N].
inline at::Tensor saliency_of(uint32_t seed, int64_t frames, int64_t tokens) {
  return (lcg_tensor(seed + 2, {frames * tokens}) + 1) / 2;
}

inline VisualTokens reduced(const std::string& method, const std::string& params,
                            const ClipTokens& clip) {
  const auto made = compressors().make(method, Params::parse(params));
  return dynamic_cast<const TokenCompressor&>(*made).reduce(clip.visual);
}

/// A case of films.json: what published code left, and what `method` leaves of the same film.
struct PublishedCase {
  std::string params;
  Json golden;
  at::Tensor rows;  // [m, columns]
  ClipTokens clip;
  VisualTokens left;
};

inline std::vector<PublishedCase> published_cases(const std::string& method) {
  std::vector<PublishedCase> cases;
  const Json golden = read_json_file(data("tests/data/vision/films.json"));
  for (const Json& c : golden.at("cases").as_array()) {
    if (c.at("method").as_string() != method) continue;
    const auto seed = static_cast<uint32_t>(c.at("seed").as_int());
    const int64_t frames = c.at("frames").as_int(), tokens = c.at("tokens").as_int();
    PublishedCase one{c.at("params").as_string(), c, {}, {}, {}};
    one.clip =
        film_clip(film_of(seed, frames, tokens, c.at("width").as_int(), c.at("drift").as_double()));
    one.clip.visual.saliency = saliency_of(seed, frames, tokens);
    if (const Json* power = c.find("power")) one.clip.visual.saliency.pow_(power->as_int());
    if (const Json* columns = c.find("columns")) {
      const auto width = static_cast<int32_t>(columns->as_int());
      std::ranges::fill(one.clip.visual.grids,
                        PatchGrid{static_cast<int32_t>(tokens) / width, width});
    }
    one.left = reduced(method, one.params, one.clip);
    std::vector<double> numbers;
    for (const Json& row : c.at("rows").as_array()) {
      for (const Json& x : row.as_array()) numbers.push_back(x.as_double());
    }
    one.rows = at::tensor(numbers).view({static_cast<int64_t>(c.at("rows").as_array().size()), -1});
    cases.push_back(std::move(one));
  }
  return cases;
}

}  // namespace lv::vision
