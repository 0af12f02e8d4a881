#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv::vision {

struct Clusters {
  at::Tensor centres;     // [k] int64 rows, ascending
  at::Tensor cluster_of;  // [n] int64, of 0 .. k - 1; a centre is in its own
};

/// Clusters by density peaks. Distances are Euclid's over sqrt(D); a row is as dense as exp of
/// minus the mean of its `neighbours` smallest squared distances, itself included; centres are the
/// `count` rows with the largest product of density and distance to the nearest denser row (to the
/// farthest of all rows if there is none); others join the nearest centre. Ties take the lower
/// row. features: [n, D] float32, count on 1 .. n.
/// Reference: Du et al., Study on density peaks clustering based on k-nearest neighbors, 2016;
/// settings as FlashVID's and HoliTom's, without the noise that those add to break ties.
Clusters dpc_knn(const at::Tensor& features, int64_t count, int64_t neighbours);

}  // namespace lv::vision
