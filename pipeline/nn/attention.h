#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv {

/// Which keys a query sees: query i of a run sees key j if j <= offset + i, and of those only the
/// first `sinks` and the nearest `window` (itself included) unless `window` is 0. A run that
/// continues `offset` cached tokens is causal by it; with m keys and n queries, offset = m - n.
struct CausalMask {
  int64_t offset = 0;
  int64_t window = 0;
  int64_t sinks = 0;
};

/// [n, m] bool: which of m keys each of n queries sees.
at::Tensor visible(int64_t n, int64_t m, CausalMask mask, at::Device device);

/// Exact attention over some of the keys. Partial results over disjoint keys merge into the whole.
struct Partial {
  at::Tensor out;  // [n, H, Dh]
  at::Tensor lse;  // [n, H] float32, log of the sum of exponentials; -inf where no key was seen
};

/// Attention over the keys of both, in float32. Order does not matter, up to rounding.
Partial merge(const Partial& a, const Partial& b);

/// Attention of one sequence: q [n, H, Dh], k and v [m, Hkv, Dh] with the last dimension dense and
/// H a multiple of Hkv; query head h reads key head h / (H / Hkv).
/// Throws kInvalidArgument on shapes that do not fit or if offset + n > m.
Partial attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, CausalMask mask,
               double scale);

/// The same in float64, all scores at once: what attend() is tested against. Devices without a
/// kernel do it in float32. Also takes an offset below zero: a query that sees no key yields zeros.
Partial attend_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         CausalMask mask, double scale);

}  // namespace lv
