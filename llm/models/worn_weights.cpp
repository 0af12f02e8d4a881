#include "llm/models/worn_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr std::string_view kLayers = "model.layers.";

struct Module {
  std::string_view name;  // within its layer
  WornAt at;
};
constexpr std::array<Module, 5> kModules = {{{"self_attn.q_proj", WornAt::kQuery},
                                             {"self_attn.k_proj", WornAt::kKey},
                                             {"self_attn.v_proj", WornAt::kValue},
                                             {"self_attn.o_proj", WornAt::kOutput},
                                             {"mlp", WornAt::kMlp}}};

struct Place {
  int64_t layer;
  WornAt at;
};

std::optional<Place> place_of(std::string_view target, int64_t layers) {
  if (!target.starts_with(kLayers)) return std::nullopt;
  target.remove_prefix(kLayers.size());
  int64_t layer = 0;
  const auto [end, problem] = std::from_chars(target.data(), target.data() + target.size(), layer);
  if (problem != std::errc() || layer < 0 || layer >= layers) return std::nullopt;
  target.remove_prefix(static_cast<size_t>(end - target.data()));
  for (const Module& module : kModules) {
    if (target.starts_with('.') && target.substr(1) == module.name) return Place{layer, module.at};
  }
  return std::nullopt;
}

/// What a module reads and writes.
struct Widths {
  int64_t in, out;
};

Widths widths_of(WornAt at, const ModelShape& shape) {
  const int64_t heads = shape.heads * shape.head_size, kv_heads = shape.kv_heads * shape.head_size;
  switch (at) {
    case WornAt::kQuery:
      return {shape.width, heads};
    case WornAt::kKey:
    case WornAt::kValue:
      return {shape.width, kv_heads};
    case WornAt::kOutput:
      return {heads, shape.width};
    case WornAt::kMlp:
      break;
  }
  return {shape.width, shape.width};
}

}  // namespace

WornWeights::WornWeights(const AdapterWeights& weights, const ModelShape& shape) {
  check(weights.empty() || shape.heads > 0, ErrorCode::kUnimplemented,
        "adapters: this model has no attention layers to wear them");
  for (const LowRankDelta& delta : weights) {
    const std::string name = "adapter '" + delta.target.substr(0, 100) + "'";
    const std::optional<Place> place = place_of(delta.target, shape.layers);
    check(place.has_value(), ErrorCode::kInvalidArgument,
          name + ": expected model.layers.0 to " + std::to_string(shape.layers - 1) +
              ", .self_attn.q_proj, k_proj, v_proj or o_proj, or .mlp");
    const auto [in, out] = widths_of(place->at, shape);
    check_shape(delta.down, name + " down", {-1, in});
    const int64_t rank = delta.down.size(0);
    check(rank >= 1 && rank <= std::min(in, out), ErrorCode::kInvalidArgument,
          name + ": expected a rank of 1 to " + std::to_string(std::min(in, out)) + ", got " +
              std::to_string(rank));
    check_shape(delta.up, name + " up", {out, rank});
    const Factors factors{delta.down.to(shape.device, shape.dtype).t(),
                          delta.up.to(shape.device, shape.dtype).t()};
    check(factors_.emplace(std::pair(place->layer, place->at), factors).second,
          ErrorCode::kInvalidArgument, name + ": given twice");
  }
}

void WornWeights::add_to(at::Tensor y, const at::Tensor& x, int64_t layer, WornAt at) const {
  const auto found = factors_.find({layer, at});
  if (found != factors_.end()) y.addmm_(x.mm(found->second.down), found->second.up);
}

at::Tensor with_worn(at::Tensor y, const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                     WornAt at) {
  const int32_t* offsets = batch.offsets.const_data_ptr<int32_t>();
  for (size_t s = 0; s < batch.worn.size(); ++s) {
    if (batch.worn[s] == nullptr) continue;
    const int64_t begin = offsets[s], end = offsets[s + 1];
    batch.worn[s]->add_to(y.slice(0, begin, end), x.slice(0, begin, end), layer, at);
  }
  return y;
}

}  // namespace lv::llm
