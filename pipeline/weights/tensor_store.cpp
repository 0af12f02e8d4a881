#include "pipeline/weights/tensor_store.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "pipeline/base/error.h"

namespace lv {

namespace {

struct NamedLayout {
  BlockFormat format;
  std::string_view name;
  BlockLayout layout;
};

constexpr std::array<NamedLayout, 12> kLayouts{{{BlockFormat::kQ4_0, "Q4_0", {32, 18}},
                                                {BlockFormat::kQ4_1, "Q4_1", {32, 20}},
                                                {BlockFormat::kQ5_0, "Q5_0", {32, 22}},
                                                {BlockFormat::kQ5_1, "Q5_1", {32, 24}},
                                                {BlockFormat::kQ8_0, "Q8_0", {32, 34}},
                                                {BlockFormat::kQ2_K, "Q2_K", {256, 84}},
                                                {BlockFormat::kQ3_K, "Q3_K", {256, 110}},
                                                {BlockFormat::kQ4_K, "Q4_K", {256, 144}},
                                                {BlockFormat::kQ5_K, "Q5_K", {256, 176}},
                                                {BlockFormat::kQ6_K, "Q6_K", {256, 210}},
                                                {BlockFormat::kF16, "F16", {32, 64}},
                                                {BlockFormat::kBF16, "BF16", {32, 64}}}};

const NamedLayout& named(BlockFormat format) {
  const auto found = std::ranges::find(kLayouts, format, &NamedLayout::format);
  check(found != kLayouts.end(), ErrorCode::kInternal, "unknown block format");
  return *found;
}

}  // namespace

BlockLayout layout_of(BlockFormat format) { return named(format).layout; }

std::string_view name_of(BlockFormat format) { return named(format).name; }

ElementType TensorStore::type(std::string_view name) const {
  const StoredTensor tensor = get(name);
  if (const auto* matrix = std::get_if<QuantizedMatrix>(&tensor)) return matrix->format;
  return std::get<at::Tensor>(tensor).scalar_type();
}

std::vector<int64_t> shape_of(const StoredTensor& tensor) {
  if (const auto* dense = std::get_if<at::Tensor>(&tensor)) return dense->sizes().vec();
  const auto& matrix = std::get<QuantizedMatrix>(tensor);
  return {matrix.rows, matrix.columns};
}

}  // namespace lv
