#include "pipeline/kernels/gated_silu.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv {

at::Tensor gated_silu(at::Tensor gate, const at::Tensor& up) {
  check(up.sizes() == gate.sizes(), ErrorCode::kInvalidArgument,
        "gated silu: expected " + shape_text(gate.sizes()) + ", got " + shape_text(up.sizes()));
  const bool alike = kernels_take(gate) && kernels_take(up) &&
                     up.scalar_type() == gate.scalar_type() && gate.numel() % 8 == 0;
  if (!alike) return at::silu_(gate).mul_(up);
  launch_gated_silu(gate.mutable_data_ptr(), up.const_data_ptr(), *element_of(gate.scalar_type()),
                    gate.numel(), current_stream(gate));
  return gate;
}

}  // namespace lv
