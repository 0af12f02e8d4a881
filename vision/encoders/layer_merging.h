#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lv::vision {

/// How tokens merge between the layers of a vision transformer: after a layer's attention, before
/// its MLP, the likest pairs by their keys.
/// Reference: Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023; the share as AuroraCap
/// (Chai et al., ICLR 2025) turns it into a number of pairs.
struct LayerMerging {
  /// Pairs a layer: as many in each, or linearly from twice as many to none.
  enum class Schedule { kConstant, kDecreasing };
  /// Whether attention counts a merged token as often as it stands for patches. AuroraCap's release
  /// adds the logarithms of the sizes where they change nothing: its weights know kPlain.
  enum class Attention { kBySize, kPlain };
  /// Of the tokens that are left: as their own patches lay in the picture, or as merging leaves
  /// them, which is what AuroraCap was trained on.
  enum class Order { kReading, kMerging };

  double keep = 1;  // share of the patches, about; 1 merges nothing
  Schedule schedule = Schedule::kConstant;
  Attention attention = Attention::kBySize;
  Order order = Order::kReading;
  /// Whether to tell what attention places got, too. Where tokens merge, that is not told.
  bool tell_saliency = false;
};

/// The pairs that merge in each of `layers` layers over `patches` patches; a layer merges less than
/// half of what it sees, whatever is asked. Throws kInvalidArgument unless 0 < keep <= 1.
std::vector<int64_t> pairs_per_layer(const LayerMerging& merging, double patches, int64_t layers);

/// What became of the places of a batch of pictures when tokens merged.
struct MergedPlaces {
  at::Tensor row_of;        // [P, places] int64, the token that stands for each place
  at::Tensor sizes;         // [P, n] float32, places that each token stands for
  at::Tensor likeness;      // [P] float32, mean cosine of what entered the layers at each place to
                            // the mean of what its token stands for
  double milliseconds = 0;  // that matching and merging took; on a GPU, took to be queued
};

}  // namespace lv::vision
