#include "pipeline/kernels/gated_silu.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

/// Whether rows of dense elements lie at a distance that the kernel reads.
bool kernel_reads(const at::Tensor& x) {
  return x.dim() == 2 && x.size(0) > 0 && x.size(1) % 8 == 0 && x.stride(0) % 8 == 0 &&
         kernels_take(x[0]);
}

}  // namespace

at::Tensor gated_silu(at::Tensor gate, const at::Tensor& up) {
  check(up.sizes() == gate.sizes(), ErrorCode::kInvalidArgument,
        "gated silu: expected " + shape_text(gate.sizes()) + ", got " + shape_text(up.sizes()));
  const bool dense = gate.is_contiguous() && up.is_contiguous();
  const at::Tensor rows = dense ? gate.view({1, -1}) : gate;
  const at::Tensor other = dense ? up.view({1, -1}) : up;
  const bool alike = kernel_reads(rows) && kernel_reads(other) &&
                     up.scalar_type() == gate.scalar_type() && rows.stride(0) == other.stride(0);
  if (!alike) return at::silu_(gate).mul_(up);
  at::Tensor out = dense ? gate : at::empty(gate.sizes(), gate.options());
  launch_gated_silu({rows.const_data_ptr(), other.const_data_ptr(), out.mutable_data_ptr(),
                     *element_of(gate.scalar_type()), rows.size(0), rows.size(1), rows.stride(0)},
                    current_stream(gate));
  return out;
}

}  // namespace lv
