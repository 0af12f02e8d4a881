#include "pipeline/weights/placement.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "pipeline/base/error.h"
#include "pipeline/weights/mapped_store.h"

namespace lv {
namespace {

at::Device parse_device(const std::string& text) {
  if (text == "cpu") return at::kCPU;
  constexpr std::string_view kCuda = "cuda";
  int index = 0;
  bool good = text.starts_with(kCuda);
  if (good && text.size() > kCuda.size()) {
    const char* begin = text.data() + kCuda.size() + 1;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(begin, end, index);
    good = text[kCuda.size()] == ':' && begin < end && read.ptr == end && read.ec == std::errc() &&
           index >= 0;
  }
  check(good, ErrorCode::kInvalidArgument,
        "device: expected cpu, cuda or cuda:N, got '" + text + "'");
  const int count = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  check(index < count, ErrorCode::kFailedPrecondition,
        "device " + text + ": expected one of the CUDA devices, of which there are " +
            std::to_string(count));
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

std::optional<at::ScalarType> parse_dtype(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, at::ScalarType>, 3> kTypes{
      {{"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}}};
  if (text == "auto") return std::nullopt;
  for (const auto& [name, type] : kTypes) {
    if (name == text) return type;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "dtype: expected auto, float32, bfloat16 or float16, got '" + text + "'");
}

}  // namespace

Placement parse_placement(const std::string& device, const std::string& dtype) {
  const Placement placement{parse_device(device), parse_dtype(dtype)};
  check(!placement.device.is_cpu() || placement.dtype != at::kHalf, ErrorCode::kUnimplemented,
        "dtype float16: not on the CPU; auto keeps float16 weights and computes in float32");
  return placement;
}

StoredBytes stored_bytes_of(const TensorStore& tensors) {
  StoredBytes sum;
  for (const std::string& name : tensors.names()) {
    const ElementType type = tensors.type(name);
    const auto bytes = static_cast<int64_t>(stored_bytes(type, tensors.shape(name)).value_or(0));
    const auto* dense = std::get_if<at::ScalarType>(&type);
    if (dense == nullptr) {
      sum.quantised += bytes;
    } else if (*dense == at::kHalf) {
      sum.float16 += bytes;
    } else if (*dense == at::kBFloat16) {
      sum.bfloat16 += bytes;
    } else {
      sum.other += bytes;
    }
  }
  return sum;
}

Computing computing_for(const Placement& placement, const TensorStore& tensors) {
  if (placement.dtype) return {placement.device, *placement.dtype, false};
  const StoredBytes bytes = stored_bytes_of(tensors);
  const int64_t halves = bytes.float16 + bytes.bfloat16;
  const bool mostly_halves = halves >= std::max(bytes.other, bytes.quantised) && halves > 0;
  if (placement.device.is_cpu()) {
    const bool narrow = mostly_halves && has_fast_bfloat16();
    return {placement.device, narrow ? at::kBFloat16 : at::kFloat, !narrow};
  }
  if (bytes.other > std::max(halves, bytes.quantised)) return {placement.device, at::kFloat, false};
  const bool half = mostly_halves && bytes.float16 > bytes.bfloat16;
  return {placement.device, half ? at::kHalf : at::kBFloat16, false};
}

bool has_fast_bfloat16() {
#if defined(__x86_64__)
  static const bool present = __builtin_cpu_supports("avx512bf16");
  return present;
#else
  return false;
#endif
}

}  // namespace lv
