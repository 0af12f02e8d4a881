#include "llm/models/decoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "llm/kernels/column_sums.h"
#include "llm/kernels/launch.h"
#include "llm/kernels/rotate_append.h"
#include "llm/models/cached_attention.h"
#include "llm/models/decode_replay.h"
#include "llm/models/worn_weights.h"
#include "llm/retain/retention.h"
#include "llm/retain/row_pruning.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/gated_silu.h"
#include "pipeline/nn/attention.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "pipeline/nn/rope.h"

namespace lv::llm {
namespace {

struct Sizes {
  ModelShape shape;
  int64_t mlp_width = 0;
  double eps = 0;
};

int64_t size_of(const Json& config, const char* key, int64_t fallback = 0) {
  const int64_t size = fallback > 0 ? config.get(key, fallback) : config.at(key).as_int();
  check(size > 0 && size <= (1 << 24), ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to 16777216, got " + std::to_string(size));
  return size;
}

Sizes read_sizes(const WeightScope& root, const Json& config) {
  Sizes sizes;
  ModelShape& shape = sizes.shape;
  shape.dtype = root.dtype();
  shape.device = root.device();
  shape.layers = size_of(config, "num_hidden_layers");
  shape.width = size_of(config, "hidden_size");
  shape.heads = size_of(config, "num_attention_heads");
  shape.kv_heads = size_of(config, "num_key_value_heads", shape.heads);
  check(shape.heads % shape.kv_heads == 0, ErrorCode::kInvalidArgument,
        "num_key_value_heads: expected a divisor of " + std::to_string(shape.heads) + ", got " +
            std::to_string(shape.kv_heads));
  shape.head_size = size_of(config, "head_dim", std::max<int64_t>(1, shape.width / shape.heads));
  shape.vocabulary = size_of(config, "vocab_size");
  shape.max_positions = size_of(config, "max_position_embeddings", 2048);
  sizes.mlp_width = size_of(config, "intermediate_size");
  sizes.eps = config.get("rms_norm_eps", 1e-6);
  const std::string activation = config.get("hidden_act", "silu");
  check(activation == "silu", ErrorCode::kUnimplemented,
        "hidden_act: expected silu, got " + activation);
  return sizes;
}

/// How one layer differs from Llama's.
struct LayerTraits {
  bool qk_norm = false;
  bool rotates = true;
  std::vector<SpanRule> spans;  // see CachedAttention
};

/// The rows of each sequence, and how they are rotated.
struct Layout {
  PackedBatch batch;
  RopeTable rope;
  std::array<QueryTaps*, 2> taps;  // null where nobody looks
};

/// Left of the rows that the layers began with, in order.
Layout narrowed(const Layout& layout, const at::Tensor& rows, std::vector<int32_t> offsets) {
  Layout result = layout;
  result.batch.offsets = at::tensor(offsets, at::kInt);
  result.rope = {layout.rope.cos.index_select(0, rows), layout.rope.sin.index_select(0, rows)};
  return result;
}

class Attention {
 public:
  Attention(const WeightScope& scope, const Sizes& sizes, const LayerTraits& traits)
      : shape_(sizes.shape),
        qkv_({Linear(scope / "q_proj", shape_.width, shape_.heads * shape_.head_size),
              Linear(scope / "k_proj", shape_.width, shape_.kv_heads * shape_.head_size),
              Linear(scope / "v_proj", shape_.width, shape_.kv_heads * shape_.head_size)}),
        o_(scope / "o_proj", shape_.heads * shape_.head_size, shape_.width),
        rotates_(traits.rotates),
        scale_(1 / std::sqrt(static_cast<double>(shape_.head_size))),
        cached_(traits.spans, scale_) {
    if (!traits.qk_norm) return;
    q_norm_.emplace(scope / "q_norm", shape_.head_size, sizes.eps);
    k_norm_.emplace(scope / "k_norm", shape_.head_size, sizes.eps);
  }

  at::Tensor operator()(const at::Tensor& x, const Layout& layout, int64_t layer,
                        KvStore& kv) const {
    const auto worn = [&](const at::Tensor& y, const at::Tensor& rows, WornAt at) {
      return with_worn(y, rows, layout.batch, layer, at);
    };
    const std::vector<at::Tensor> qkv = qkv_(x);
    auto [q, k, v] = heads_of(worn(qkv[0], x, WornAt::kQuery), worn(qkv[1], x, WornAt::kKey),
                              worn(qkv[2], x, WornAt::kValue));
    if (rotates_) {
      rotate_(q, layout.rope);
      rotate_(k, layout.rope);
    }
    tap(q, layout, layer);
    const at::Tensor seen = cached_(q, k, v, layout.batch, layer, kv).flatten(1);
    return worn(o_(seen), seen, WornAt::kOutput);
  }

  /// The same of one token a sequence, whose room in the pages is there.
  at::Tensor decode(const at::Tensor& x, const RopeTable& rope, const PagePlans& pages,
                    int64_t splits) const {
    const std::vector<at::Tensor> qkv = qkv_(x);
    auto [q, k, v] = heads_of(qkv[0], qkv[1], qkv[2]);
    rotate_append(q, k, v, rotates_ ? rope : RopeTable{}, pages);
    return o_(attend_planned(q, pages, splits, scale_).out.flatten(1));
  }

  const CachedAttention& cached() const { return cached_; }

  /// How much each token of a prompt was attended to by the last queries held of it: [m].
  at::Tensor importance(SequenceId sequence, int64_t layer, const KvStore& kv,
                        const QueryTaps& taps) const {
    const KvView view = kv.view(sequence, layer);
    const TokenRange all{0, view.tokens};
    const KvRows rows = gather(view, {&all, 1});
    const at::Tensor& q = taps.queries(sequence, layer);
    const CausalMask mask{view.tokens - q.size(0)};
    const at::Tensor lse = attend(q, rows.keys, rows.values, mask, scale_).lse;
    return column_sums(q, rows.keys, lse, mask, scale_);
  }

 private:
  struct Heads {
    at::Tensor q, k, v;  // [n, H or Hkv, Dh]
  };

  /// Of what each token's products are, [n, H Dh or Hkv Dh].
  Heads heads_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) const {
    const auto split = [&](const at::Tensor& x, const std::optional<RmsNorm>& norm) {
      const at::Tensor heads = x.unflatten(1, {-1, shape_.head_size});
      return norm ? (*norm)(heads.contiguous()) : heads;
    };
    return {split(q, q_norm_), split(k, k_norm_), split(v, std::nullopt)};
  }

  void tap(const at::Tensor& q, const Layout& layout, int64_t layer) const {
    const PackedBatch& batch = layout.batch;
    const auto* offsets = batch.offsets.const_data_ptr<int32_t>();
    for (QueryTaps* taps : layout.taps) {
      for (size_t s = 0; taps != nullptr && s < batch.sequences.size(); ++s) {
        taps->add(batch.sequences[s], layer, q.slice(0, offsets[s], offsets[s + 1]));
      }
    }
  }

  ModelShape shape_;
  LinearGroup qkv_;
  Linear o_;
  std::optional<RmsNorm> q_norm_, k_norm_;
  bool rotates_;
  double scale_;
  CachedAttention cached_;
};

class GatedMlp {
 public:
  GatedMlp(const WeightScope& scope, const Sizes& sizes)
      : gate_up_({Linear(scope / "gate_proj", sizes.shape.width, sizes.mlp_width),
                  Linear(scope / "up_proj", sizes.shape.width, sizes.mlp_width)}),
        down_(scope / "down_proj", sizes.mlp_width, sizes.shape.width) {}

  at::Tensor operator()(const at::Tensor& x) const {
    const std::vector<at::Tensor> both = gate_up_(x);
    return down_(gated_silu(both[0], both[1]));
  }

 private:
  LinearGroup gate_up_;
  Linear down_;
};

struct Layer {
  Layer(const WeightScope& scope, const Sizes& sizes, const LayerTraits& traits)
      : attention_norm(scope / "input_layernorm", sizes.shape.width, sizes.eps),
        attention(scope / "self_attn", sizes, traits),
        mlp_norm(scope / "post_attention_layernorm", sizes.shape.width, sizes.eps),
        mlp(scope / "mlp", sizes) {}

  RmsNorm attention_norm;
  Attention attention;
  RmsNorm mlp_norm;
  GatedMlp mlp;
};

LayerTraits layer_traits(const LayerPlan& plan, const DecoderTraits& traits, int64_t layer,
                         const ModelShape& shape) {
  const LayerChoice choice = choice_for(plan, layer, shape.layers);
  const auto at = static_cast<size_t>(layer);
  LayerTraits result{traits.qk_norm, traits.rotated.empty() || traits.rotated[at],
                     spans_by_key_head(choice, shape.heads, shape.kv_heads)};
  if (result.spans.empty()) {
    result.spans = {KeySpan{traits.windows.empty() ? 0 : traits.windows[at]}};
  }
  const auto* span = std::get_if<KeySpan>(&result.spans.front());
  check(!plan.retain || (span != nullptr && span->all()), ErrorCode::kInvalidArgument,
        "plan: layer " + std::to_string(layer) + " has a window, which does not go with retain");
  return result;
}

Rope read_rope(const WeightScope& root, const Json& config, int64_t head_size) {
  const RopeSettings settings = rope_settings(config, head_size);
  const WeightScope divisors = root / "rope_freqs";
  if (!divisors.has("weight")) return Rope(settings, {}, root.device());
  return Rope(settings, divisors.get("weight", {settings.rotary_size / 2}), root.device());
}

Linear read_head(const WeightScope& root, const Json& config, const Embedding& embedding,
                 const ModelShape& shape) {
  const bool stored = root.has_child("lm_head");
  if (config.get("tie_word_embeddings", !stored)) return {embedding.table(), at::Tensor()};
  return {root / "lm_head", shape.width, shape.vocabulary};
}

class Decoder : public CausalLm {
 public:
  Decoder(const Checkpoint& checkpoint, const LayerPlan& plan, const DecoderTraits& traits)
      : Decoder(checkpoint.root(), planned_config(plan, checkpoint.config()), plan, traits) {}

  ModelShape shape() const override { return sizes_.shape; }

  at::Tensor embed(const at::Tensor& ids) const override { return embedding_(ids); }

  at::Tensor forward(const PackedBatch& batch, Memory memory) const override {
    check_batch(batch, sizes_.shape.width);
    if (replays(batch, memory)) {
      return memory.replay->run(batch, memory.kv, fixed_spans_,
                                [&](const DecodeStep& step) { return decode(step, memory.kv); });
    }
    QueryTaps ends;  // of prompts that rows are left out of
    const bool prunes = open_ends(batch, ends);
    Layout layout{
        batch, rope_table(batch), {retention_ ? memory.taps : nullptr, prunes ? &ends : nullptr}};
    at::Tensor left;  // of the batch's rows; undefined: all
    const auto leave_out = [&](int64_t layer, Residual& now) {
      const at::Tensor rows = prunes ? prune(layout, layer, memory.kv) : at::Tensor();
      if (!rows.defined()) return;
      now.x = now.x.index_select(0, rows);
      now.delta = now.delta.index_select(0, rows);
      left = left.defined() ? left.index_select(0, rows) : rows;
    };
    const at::Tensor hidden = normed(read(layout, memory.kv, layers_.size(), leave_out));
    if (!left.defined()) return hidden;
    count_left_out(batch, memory.kv);
    return at::zeros_like(batch.embeddings).index_copy_(0, left, hidden);
  }

  void check_prunable(int64_t layer) const override {
    const auto count = static_cast<int64_t>(layers_.size());
    check(layer >= 1 && layer < count, ErrorCode::kInvalidArgument,
          "fastv.layer: expected 1 to " + std::to_string(count - 1) + ", got " +
              std::to_string(layer));
    check(retention_ == nullptr, ErrorCode::kFailedPrecondition,
          "fastv: does not go with the plan's retain, which compares layers that read the same");
    check(!sizes_.shape.kivi, ErrorCode::kFailedPrecondition,
          "fastv: does not go with the plan's kivi, which codes all that a prompt leaves");
    for (int64_t i = layer; i < count; ++i) {
      check(layers_[static_cast<size_t>(i)].attention.cached().sees_all(),
            ErrorCode::kFailedPrecondition,
            "fastv.layer: expected one behind which all layers see all tokens, got " +
                std::to_string(layer) + ", and layer " + std::to_string(i) + " has a window");
    }
  }

  at::Tensor states(const PackedBatch& batch, Memory memory, int64_t layers) const override {
    check(layers > 0 && layers <= sizes_.shape.layers, ErrorCode::kInvalidArgument,
          "layers: expected 1 to " + std::to_string(sizes_.shape.layers) + ", got " +
              std::to_string(layers));
    check_batch(batch, sizes_.shape.width);
    const Layout layout{batch, rope_table(batch), {}};
    const Residual some =
        read(layout, memory.kv, static_cast<size_t>(layers), [](int64_t, Residual&) {});
    return some.x + some.delta;
  }

  void settle(SequenceId sequence, int64_t planned_length, Memory memory,
              bool prompt_read) const override {
    for (size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].attention.cached().forget_unseen(sequence, planned_length, static_cast<int64_t>(i),
                                                  memory.kv);
    }
    const bool tapped = retention_ && memory.taps != nullptr && memory.taps->is_open(sequence);
    if (tapped && prompt_read) retain(sequence, memory);
    if (prompt_read) memory.kv.code(sequence);
  }

  at::Tensor logits(const at::Tensor& hidden) const override {
    return head_(hidden).to(at::kFloat);
  }

 private:
  Decoder(const WeightScope& root, const Json& config, const LayerPlan& plan,
          const DecoderTraits& traits)
      : sizes_(read_sizes(root, config)),
        rope_(read_rope(root, config, sizes_.shape.head_size)),
        embedding_(root / "model" / "embed_tokens", sizes_.shape.vocabulary, sizes_.shape.width),
        norm_(root / "model" / "norm", sizes_.shape.width, sizes_.eps),
        head_(read_head(root, config, embedding_, sizes_.shape)),
        retention_(plan.retain ? make_retention(*plan.retain, sizes_.shape.layers) : nullptr) {
    sizes_.shape.position_axes = rope_.axes();
    sizes_.shape.depends_on_length = rope_.depends_on_length();
    const WeightScope layers = root / "model" / "layers";
    std::vector<KeySpan> spans;
    for (int64_t i = 0; i < sizes_.shape.layers; ++i) {
      const LayerTraits layer = layer_traits(plan, traits, i, sizes_.shape);
      sizes_.shape.kv_groups.push_back(static_cast<int64_t>(layer.spans.size()));
      sizes_.shape.depends_on_length |= std::ranges::any_of(layer.spans, depends_on_length);
      const auto* span = std::get_if<KeySpan>(&layer.spans.front());
      if (layer.spans.size() == 1 && span != nullptr) spans.push_back(*span);
      layers_.emplace_back(layers / i, sizes_, layer);
    }
    if (retention_) sizes_.shape.tapped_rows = retention_->window();
    plan_formats(plan);
    const bool fixed = !retention_ && !sizes_.shape.kivi && !sizes_.shape.depends_on_length &&
                       spans.size() == layers_.size();
    const bool by_kernels = has_cuda_kernels() && decodes_width(sizes_.shape.head_size);
    if (fixed && (by_kernels || sizes_.shape.device.is_cpu())) fixed_spans_ = std::move(spans);
  }

  /// Rows [n, D] and what the part before adds to them, if any.
  struct Residual {
    at::Tensor x, delta;
  };

  /// Rows [n, D] through the first `count` layers: of each `before(number, residual)`, then
  /// `attend(layer, x, number)` and `mlp` of the same.
  template <typename Before, typename Attend, typename Mlp>
  Residual through_layers(at::Tensor x, size_t count, Before before, Attend attend, Mlp mlp) const {
    Residual now{std::move(x), {}};
    const auto sum_normed = [&](const RmsNorm& norm) {
      SumAndNorm both = norm.of_sum(now.x, now.delta);
      now.x = std::move(both.sum);
      return std::move(both.norm);
    };
    for (size_t i = 0; i < count; ++i) {
      const Layer& layer = layers_[i];
      const auto number = static_cast<int64_t>(i);
      before(number, now);
      now.delta = attend(layer, sum_normed(layer.attention_norm), number);
      now.delta = mlp(layer, sum_normed(layer.mlp_norm), number);
    }
    return now;
  }

  at::Tensor normed(const Residual& now) const { return norm_.of_sum(now.x, now.delta).norm; }

  /// The layout's batch through the first `count` layers, which append to the store; `before` may
  /// narrow the layout.
  template <typename Before>
  Residual read(const Layout& layout, KvStore& kv, size_t count, Before before) const {
    return through_layers(
        layout.batch.embeddings, count, before,
        [&](const Layer& layer, const at::Tensor& x, int64_t number) {
          check_cancelled();
          return layer.attention(x, layout, number, kv);
        },
        [&](const Layer& layer, const at::Tensor& x, int64_t number) {
          return with_worn(layer.mlp(x), x, layout.batch, number, WornAt::kMlp);
        });
  }

  /// Whether a batch is a step of one token a sequence whose layers all read plain pages.
  bool replays(const PackedBatch& batch, Memory memory) const {
    const auto count = static_cast<int64_t>(batch.sequences.size());
    return memory.replay != nullptr && !fixed_spans_.empty() && batch.embeddings.size(0) == count &&
           count <= DecodeReplay::kMostRows &&
           std::ranges::all_of(batch.worn, [](const auto* worn) { return worn == nullptr; });
  }

  at::Tensor decode(const DecodeStep& step, const KvStore& kv) const {
    const RopeTable rope = rope_.table(step.positions, 0);
    return normed(through_layers(
        step.embeddings, layers_.size(), [](int64_t, Residual&) {},
        [&](const Layer& layer, const at::Tensor& x, int64_t number) {
          const KvView pages = kv.pages(number);
          return layer.attention.decode(x, rope, {pages.keys, pages.values, step.plans[number]},
                                        step.splits);
        },
        [](const Layer& layer, const at::Tensor& x, int64_t) { return layer.mlp(x); }));
  }

  void plan_formats(const LayerPlan& plan) {
    ModelShape& shape = sizes_.shape;
    for (int64_t i = 0; i < shape.layers; ++i) {
      const LayerChoice choice = choice_for(plan, i, shape.layers);
      shape.coded.push_back(choice.kivi.has_value());
      if (!choice.kivi) continue;
      const std::string where = "plan: layer " + std::to_string(i);
      check_kivi(*choice.kivi, shape.head_size, where + ": kv");
      check(layers_[static_cast<size_t>(i)].attention.cached().sees_all(),
            ErrorCode::kInvalidArgument, where + " has a window, which does not go with kivi");
      check(!shape.kivi || shape.kivi == choice.kivi, ErrorCode::kInvalidArgument,
            where + ": expected the same kivi settings in every layer that has them");
      shape.kivi = choice.kivi;
    }
  }

  void retain(SequenceId sequence, Memory memory) const {
    std::vector<at::Tensor> importance;
    for (size_t i = 0; i < layers_.size(); ++i) {
      importance.push_back(layers_[i].attention.importance(sequence, static_cast<int64_t>(i),
                                                           memory.kv, *memory.taps));
    }
    memory.taps->close(sequence);
    const std::vector<at::Tensor> kept = retention_->kept(importance);
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (kept[i].size(0) == importance[i].size(0)) continue;
      memory.kv.compact(sequence, static_cast<int64_t>(i), 0, kept[i]);
    }
  }

  /// Whether any prompt of the batch is to lose rows; its last query is held then.
  static bool open_ends(const PackedBatch& batch, QueryTaps& ends) {
    bool any = false;
    for (size_t s = 0; s < batch.pruned.size(); ++s) {
      if (batch.pruned[s] == nullptr) continue;
      ends.open(batch.sequences[s], 1);
      any = true;
    }
    return any;
  }

  /// Takes what layer `layer` and those behind it do not read out of the layout: the rows left of
  /// it [m], or undefined if all are.
  at::Tensor prune(Layout& layout, int64_t layer, const KvStore& kv) const {
    const PackedBatch& batch = layout.batch;
    const auto* offsets = batch.offsets.const_data_ptr<int32_t>();
    std::vector<at::Tensor> left;
    std::vector<int32_t> ends{0};
    bool any = false;
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      at::Tensor rows =
          at::arange(offsets[s + 1] - offsets[s], batch.positions.options().dtype(at::kLong));
      const RowPruning* pruning = batch.pruned[s];
      if (pruning != nullptr && pruning->layer == layer) {
        const at::Tensor attended = layers_[static_cast<size_t>(layer - 1)].attention.importance(
            batch.sequences[s], layer - 1, kv, *layout.taps[1]);
        check(attended.size(0) == rows.size(0), ErrorCode::kInternal,
              "fastv: expected the whole prompt in one step");
        rows = rows_left(*pruning, attended);
        any = true;
      }
      left.push_back(rows + offsets[s]);
      ends.push_back(ends.back() + static_cast<int32_t>(rows.size(0)));
    }
    if (!any) return {};
    const at::Tensor rows = at::cat(left);
    layout = narrowed(layout, rows, std::move(ends));
    return rows;
  }

  void count_left_out(const PackedBatch& batch, KvStore& kv) const {
    for (size_t s = 0; s < batch.pruned.size(); ++s) {
      const RowPruning* pruning = batch.pruned[s];
      if (pruning == nullptr) continue;
      for (int64_t layer = pruning->layer; layer < sizes_.shape.layers; ++layer) {
        kv.leave_out(batch.sequences[s], layer, pruning->rows.size(0) - pruning->keep);
      }
    }
  }

  RopeTable rope_table(const PackedBatch& batch) const {
    if (!rope_.depends_on_length()) return rope_.table(batch.positions, 0);
    std::vector<at::Tensor> cos;
    std::vector<at::Tensor> sin;
    const int32_t* offsets = batch.offsets.const_data_ptr<int32_t>();
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      const RopeTable part = rope_.table(batch.positions.slice(0, offsets[s], offsets[s + 1]),
                                         batch.planned_lengths[s]);
      cos.push_back(part.cos);
      sin.push_back(part.sin);
    }
    return {at::cat(cos), at::cat(sin)};
  }

  Sizes sizes_;
  Rope rope_;
  Embedding embedding_;
  RmsNorm norm_;
  Linear head_;
  std::unique_ptr<const Retention> retention_;  // null: all is kept
  std::vector<Layer> layers_;
  std::vector<KeySpan> fixed_spans_;  // by layer; empty where steps cannot be replayed
};

}  // namespace

std::unique_ptr<CausalLm> make_decoder(const Checkpoint& checkpoint, const LayerPlan& plan,
                                       const DecoderTraits& traits) {
  return std::make_unique<Decoder>(checkpoint, plan, traits);
}

std::vector<int64_t> declared_windows(const Json& config, int64_t window, int64_t first) {
  check(window >= 0, ErrorCode::kInvalidArgument,
        "sliding_window: expected 0 or more, got " + std::to_string(window));
  const int64_t layers = size_of(config, "num_hidden_layers");
  std::vector<int64_t> windows(static_cast<size_t>(layers), 0);
  const Json* types = config.find("layer_types");
  const bool listed = types != nullptr && !types->is_null();
  if (listed) {
    check(static_cast<int64_t>(types->as_array().size()) == layers, ErrorCode::kInvalidArgument,
          "layer_types: expected " + std::to_string(layers) + " entries, got " +
              std::to_string(types->as_array().size()));
  }
  for (int64_t i = 0; i < layers; ++i) {
    const auto at = static_cast<size_t>(i);
    if (!listed) {
      windows[at] = i >= first ? window : 0;
      continue;
    }
    const std::string& type = types->as_array()[at].as_string();
    check(type == "full_attention" || (type == "sliding_attention" && window > 0),
          ErrorCode::kInvalidArgument, "layer_types: '" + type + "' does not fit this checkpoint");
    windows[at] = type == "full_attention" ? 0 : window;
  }
  return windows;
}

std::vector<int64_t> qwen_windows(const Json& config) {
  const bool used = config.get("use_sliding_window", false);
  const int64_t window = used ? config.get("sliding_window", 0) : 0;
  return declared_windows(config, window, config.get("max_window_layers", 28));
}

}  // namespace lv::llm
