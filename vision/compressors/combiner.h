#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "pipeline/base/json.h"
#include "pipeline/nn/linear.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::vision {

/// What is seen and heard in one snippet of time, as a few tokens that know the snippets before it
/// and none behind. Reads `combiner` of the configuration: `kind`, `tokens`, `depth`, `heads`,
/// `snippet_seconds`. Immutable.
/// Reference: Piergiovanni et al., Mirasol3B: A Multimodal Autoregressive Model for Time-Aligned
/// and Contextual Modalities, CVPR 2024, arXiv 2311.05698, section 3.3. Differs: a snippet may have
/// as many tokens of each kind as it likes up to the learned places, or no sound; what it gives is
/// brought to the width that the language model reads.
class Combiner {
 public:
  /// One of the table of forms: "transformer" or "ttm".
  class Form;

  /// Throws kInvalidArgument that names the setting, kNotFound that names a tensor that is missing.
  Combiner(const Json& config, const WeightScope& scope);
  ~Combiner();

  /// The next snippet of a film: video [nv, D] and audio [na, Da], of which either may have no
  /// rows, to [m, D], fewer if there are fewer rows than m. `past` is what the snippets before it
  /// left, undefined before the first, and becomes what the next one needs; nothing that was given
  /// out ever changes. Throws kInvalidArgument on rows of another width and on more of them than
  /// the places that were learned.
  at::Tensor operator()(const at::Tensor& video, const at::Tensor& audio, at::Tensor& past) const;

  double snippet_seconds() const { return snippet_seconds_; }
  int64_t video_width() const { return video_width_; }
  int64_t audio_width() const { return audio_width_; }

 private:
  struct Input;

  double snippet_seconds_;
  int64_t video_width_, audio_width_;
  std::unique_ptr<const Input> video_, audio_;
  std::unique_ptr<const Form> form_;
  std::unique_ptr<const Linear> out_;
};

}  // namespace lv::vision
