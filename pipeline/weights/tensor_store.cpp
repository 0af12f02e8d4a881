#include "pipeline/weights/tensor_store.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv {

BlockLayout layout_of(BlockFormat format) {
  switch (format) {
    case BlockFormat::kQ4_0:
      return {32, 18};
    case BlockFormat::kQ4_1:
      return {32, 20};
    case BlockFormat::kQ8_0:
      return {32, 34};
    case BlockFormat::kQ4_K:
      return {256, 144};
    case BlockFormat::kQ6_K:
      return {256, 210};
  }
  throw Error(ErrorCode::kInternal, "layout_of: unknown block format");
}

std::string_view name_of(BlockFormat format) {
  switch (format) {
    case BlockFormat::kQ4_0:
      return "Q4_0";
    case BlockFormat::kQ4_1:
      return "Q4_1";
    case BlockFormat::kQ8_0:
      return "Q8_0";
    case BlockFormat::kQ4_K:
      return "Q4_K";
    case BlockFormat::kQ6_K:
      return "Q6_K";
  }
  throw Error(ErrorCode::kInternal, "name_of: unknown block format");
}

std::vector<int64_t> shape_of(const StoredTensor& tensor) {
  if (const auto* dense = std::get_if<at::Tensor>(&tensor)) return dense->sizes().vec();
  const auto& matrix = std::get<QuantizedMatrix>(tensor);
  return {matrix.rows, matrix.columns};
}

}  // namespace lv
