#include "vision/compressors/dpc_knn.h"

#include <ATen/ATen.h>

#include <cmath>

namespace lv::vision {

Clusters dpc_knn(const at::Tensor& features, int64_t count, int64_t neighbours) {
  const int64_t rows = features.size(0);
  // 2: not by matrix products, which are inexact for rows that are nearly the same.
  const at::Tensor distance = at::cdist(features, features, 2.0, /*compute_mode=*/2) /
                              std::sqrt(static_cast<double>(features.size(1)));
  const at::Tensor nearest = std::get<0>(
      distance.topk(std::min(neighbours, rows), 1, /*largest=*/false, /*sorted=*/false));
  const at::Tensor density = nearest.square().mean(1).neg().exp();
  const at::Tensor denser = density.unsqueeze(0) > density.unsqueeze(1);  // [n, n]: column than row
  const at::Tensor alone = at::where(denser, distance, distance.max()).amin(1);
  const at::Tensor order = at::argsort(alone * density, /*stable=*/true, 0, /*descending=*/true);
  Clusters found;
  found.centres = std::get<0>(order.slice(0, 0, count).sort());
  found.cluster_of = distance.index_select(1, found.centres).argmin(1);
  found.cluster_of.index_copy_(0, found.centres, at::arange(count, found.centres.options()));
  return found;
}

}  // namespace lv::vision
