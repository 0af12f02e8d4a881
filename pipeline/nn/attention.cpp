#include "pipeline/nn/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

void check_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  check_shape(q, "attention q", {-1, -1, -1});
  check_shape(k, "attention k", {-1, -1, q.size(2)});
  check_shape(v, "attention v", {k.size(0), k.size(1), q.size(2)});
  check(k.size(1) > 0 && q.size(1) % k.size(1) == 0, ErrorCode::kInvalidArgument,
        "attention: expected query heads to be a multiple of key heads, got " +
            std::to_string(q.size(1)) + " and " + std::to_string(k.size(1)));
}

/// [m, Hkv, Dh] -> [Hkv, G, m, Dh] without a copy: the G query heads of a group read the same keys.
at::Tensor shared_by_group(const at::Tensor& x, int64_t group) {
  return x.transpose(0, 1).unsqueeze(1).expand({x.size(1), group, x.size(0), x.size(2)});
}

/// Attention of every query to every key (or by a mask), through ATen's blocked kernel.
Partial attend_cpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                   const std::optional<at::Tensor>& bias, double scale) {
  const int64_t n = q.size(0);
  const int64_t heads = q.size(1);
  const int64_t kv_heads = k.size(1);
  const int64_t group = heads / kv_heads;
  if (n == 1) {  // a group's heads as rows of one product: each key is read once
    const auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
        q.view({1, kv_heads, group, -1}), k.transpose(0, 1).unsqueeze(0),
        v.transpose(0, 1).unsqueeze(0), 0.0, false, {}, scale);
    return {out.reshape({1, heads, -1}), lse.reshape({1, heads})};
  }
  const at::Tensor grouped = q.view({n, kv_heads, group, -1}).permute({1, 2, 0, 3});
  const auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      grouped, shared_by_group(k, group), shared_by_group(v, group), 0.0, causal, bias, scale);
  return {out.permute({2, 0, 1, 3}).reshape({n, heads, -1}),
          lse.permute({2, 0, 1}).reshape({n, heads})};
}

bool flash_takes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::ScalarType type = q.scalar_type();
  return q.is_cuda() && (type == at::kHalf || type == at::kBFloat16) && k.scalar_type() == type &&
         v.scalar_type() == type && q.size(2) % 8 == 0 && q.size(2) <= 256;
}

/// The same through the GPU kernel of FlashAttention-2 (arXiv 2307.08691): the last query sees the
/// last key. `window` is 0 for none.
Partial attend_flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t window,
                     double scale) {
  const auto left = window > 0 ? std::optional<int64_t>(window - 1) : std::nullopt;
  const auto right = window > 0 ? std::optional<int64_t>(0) : std::nullopt;
  const auto [out, lse, seed, unused, mask] = at::_flash_attention_forward(
      q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), {}, {}, q.size(0), k.size(0), 0.0,
      /*is_causal=*/true, false, scale, left, right);
  return {out.squeeze(0), lse.squeeze(0).transpose(0, 1)};
}

/// All scores at once, in `type`. A group's query heads are rows of one product, so that keys and
/// values are not copied for each of them.
Partial attend_at_once(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       CausalMask mask, double scale, at::ScalarType type) {
  const int64_t n = q.size(0);
  const int64_t m = k.size(0);
  const int64_t kv_heads = k.size(1);
  const int64_t group = q.size(1) / kv_heads;
  const at::Tensor queries =
      (q.to(type) * scale).view({n, kv_heads, group, -1}).permute({1, 2, 0, 3});  // [Hkv, G, n, Dh]
  const at::Tensor keys = k.to(type).permute({1, 2, 0});                          // [Hkv, Dh, m]
  at::Tensor scores =
      at::matmul(queries.reshape({kv_heads, group * n, -1}), keys).view({kv_heads, group, n, m});
  scores.masked_fill_(~visible(n, m, mask, q.device()), kHidden);
  const at::Tensor lse = at::logsumexp(scores, -1);  // [Hkv, G, n]
  const at::Tensor weights = scores.sub_(lse.unsqueeze(-1)).exp_().nan_to_num_(0.0);
  const at::Tensor out = at::matmul(weights.view({kv_heads, group * n, m}),
                                    v.to(type).transpose(0, 1));  // [Hkv, G n, Dh]
  return {out.view({kv_heads, group, n, -1})
              .permute({2, 0, 1, 3})
              .to(q.scalar_type())
              .reshape(q.sizes()),
          lse.permute({2, 0, 1}).to(at::kFloat).reshape({n, -1})};
}

}  // namespace

at::Tensor visible(int64_t n, int64_t m, CausalMask mask, at::Device device) {
  const auto options = at::device(device).dtype(at::kLong);
  const at::Tensor key = at::arange(m, options).unsqueeze(0);
  const at::Tensor query = at::arange(n, options).unsqueeze(1) + mask.offset;
  at::Tensor seen = key <= query;
  if (mask.window > 0) seen = seen & ((key > query - mask.window) | (key < mask.sinks));
  return seen;
}

Partial merge(const Partial& a, const Partial& b) {
  const at::Tensor lse = at::logaddexp(a.lse, b.lse);
  // Where neither saw a key, -inf minus -inf gives NaN; the share is zero.
  const at::Tensor share_a = (a.lse - lse).exp().nan_to_num(0.0).unsqueeze(-1);
  const at::Tensor share_b = (b.lse - lse).exp().nan_to_num(0.0).unsqueeze(-1);
  const at::Tensor out = a.out.to(at::kFloat) * share_a + b.out.to(at::kFloat) * share_b;
  return {out.to(a.out.scalar_type()), lse};
}

Partial attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, CausalMask mask,
               double scale) {
  check_heads(q, k, v);
  const int64_t n = q.size(0);
  check(mask.offset >= 0 && mask.offset + n <= k.size(0), ErrorCode::kInvalidArgument,
        "attention: expected a key for each of " + std::to_string(mask.offset + n) +
            " positions, got " + std::to_string(k.size(0)));
  if (n == 0) return attend_reference(q, k, v, mask, scale);

  const int64_t end = mask.offset + n;
  const bool windowed = mask.window > 0 && mask.window < end;
  const int64_t first = mask.offset - mask.window + 1;  // that any query sees
  const int64_t begin = windowed && mask.sinks == 0 && first > 0 ? first : 0;
  const at::Tensor keys = k.slice(0, begin, end);
  const at::Tensor values = v.slice(0, begin, end);
  const int64_t cached = mask.offset - begin;
  if (flash_takes(q, k, v) && !(windowed && mask.sinks > 0)) {
    return attend_flash(q, keys, values, windowed ? mask.window : 0, scale);
  }
  if (!q.is_cpu()) {
    return attend_at_once(q, keys, values, {cached, mask.window, mask.sinks}, scale, at::kFloat);
  }
  if (n == 1 && !(windowed && mask.sinks > 0)) return attend_cpu(q, keys, values, false, {}, scale);
  if (windowed) {
    const at::Tensor seen = visible(n, end - begin, {cached, mask.window, mask.sinks}, q.device());
    const at::Tensor bias = at::zeros(seen.sizes(), q.options()).masked_fill_(~seen, kHidden);
    return attend_cpu(q, keys, values, false, bias, scale);
  }
  // The kernel's causal mask is for squares: what is cached is seen whole, so merge the two parts.
  const Partial own =
      attend_cpu(q, keys.slice(0, cached), values.slice(0, cached), true, {}, scale);
  if (cached == 0) return own;
  return merge(
      attend_cpu(q, keys.slice(0, 0, cached), values.slice(0, 0, cached), false, {}, scale), own);
}

Partial attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         CausalMask mask, double scale) {
  check_heads(q, k, v);
  return attend_at_once(q, k, v, mask, scale, at::kDouble);
}

}  // namespace lv
