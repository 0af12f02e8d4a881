#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/types/media.h"

namespace lv {

/// One picture of a film, or a still.
struct Frame {
  at::Tensor pixels;       // [H, W, 3] uint8, RGB
  double pts_seconds = 0;  // shown on [pts, pts + duration)
  double duration_seconds = 0;
};

/// Pictures of one size, in the order they are shown. Document pages of other sizes are other
/// batches.
struct FrameBatch {
  at::Tensor pixels;                  // [T, H, W, 3] uint8, RGB
  at::Tensor pts_seconds;             // [T] float64, strictly increasing
  MediaInfo media;                    // of the file they came from
  std::vector<std::string> warnings;  // what could not be read since the batch before
  int32_t source = 0;                 // which of a request's files they came from
  std::string view = {};              // the camera of a rig that took them; empty if there is none
  int64_t film_frames = 0;            // that come of the film in all, at most; 0 if not known
};

/// Throws kInvalidArgument that names the field if shapes, types or the order of times do not hold.
void validate(const FrameBatch& batch);

}  // namespace lv
