#include "pipeline/weights/converted_store.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv {
namespace {

using Entry = ConvertedStore::Entry;

/// For each row of [heads, 2, D / 2] where the converter put it: [heads, D / 2, 2].
at::Tensor original_rows(int64_t rows, int64_t heads) {
  return at::arange(rows, at::kLong).view({heads, -1, 2}).transpose(1, 2).reshape(-1);
}

StoredTensor rows_of(StoredTensor tensor, const at::Tensor& rows) {
  if (auto* matrix = std::get_if<QuantizedMatrix>(&tensor)) {
    matrix->blocks = matrix->blocks.index_select(0, rows);
    return tensor;
  }
  return std::get<at::Tensor>(tensor).index_select(0, rows);
}

StoredTensor joined_rows(const Entry& entry) {
  StoredTensor first = entry.from->get(entry.stored.front());
  std::vector<at::Tensor> parts;
  for (const std::string& name : entry.stored) {
    const StoredTensor part = entry.from->get(name);
    const auto* matrix = std::get_if<QuantizedMatrix>(&part);
    parts.push_back(matrix ? matrix->blocks : std::get<at::Tensor>(part));
  }
  if (auto* matrix = std::get_if<QuantizedMatrix>(&first)) {
    matrix->blocks = at::cat(parts);
    matrix->rows = matrix->blocks.size(0);
    return first;
  }
  return at::cat(parts);
}

StoredTensor joined_moments(const Entry& entry) {
  std::vector<at::Tensor> parts;
  for (const std::string& name : entry.stored) {
    parts.push_back(std::get<at::Tensor>(entry.from->get(name)));
  }
  return at::stack(parts, 2);
}

void check_entry(const std::string& path, const Entry& entry) {
  const std::string& stored = entry.stored.front();
  const std::vector<int64_t> shape = entry.from->shape(stored);
  const bool dense = std::holds_alternative<at::ScalarType>(entry.from->type(stored));
  const auto expect = [&](bool good, const std::string& what) {
    check(good, ErrorCode::kInvalidArgument,
          path + ": " + stored + ": expected " + what + ", got " + shape_text(shape) +
              (dense ? "" : " quantised"));
  };
  switch (entry.conversion) {
    case Conversion::kNone:
      return;
    case Conversion::kPairedRows:
      return expect(!shape.empty() && shape[0] % (2 * entry.heads) == 0,
                    "rows for " + std::to_string(entry.heads) + " heads of even size");
    case Conversion::kNoMiddle:
      return expect(dense && shape.size() == 2, "a dense matrix");
    case Conversion::kNegativeExp:
      return expect(dense, "dense numbers");
    case Conversion::kCutInRows:
    case Conversion::kCutInMoments:
      break;
  }
  const bool rows = entry.conversion == Conversion::kCutInRows;
  expect(rows ? !shape.empty() : dense && shape.size() == 4, rows ? "rows" : "a dense convolution");
  for (const std::string& other : entry.stored) {
    std::vector<int64_t> sizes = entry.from->shape(other);
    if (rows && !sizes.empty()) sizes[0] = shape[0];
    check(sizes == shape && entry.from->type(other) == entry.from->type(stored),
          ErrorCode::kInvalidArgument,
          path + ": " + other + ": expected sizes and type of " + stored + ", got others");
  }
}

}  // namespace

ConvertedStore::ConvertedStore(std::string path, Index index)
    : path_(std::move(path)), index_(std::move(index)) {
  for (const auto& [name, entry] : index_) check_entry(path_, entry);
}

std::vector<std::string> ConvertedStore::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : index_) all.push_back(name);
  return all;
}

std::vector<int64_t> ConvertedStore::shape(std::string_view name) const {
  const Entry& entry = find(name);
  std::vector<int64_t> shape = entry.from->shape(entry.stored.front());
  if (entry.conversion == Conversion::kNoMiddle) shape.insert(shape.begin() + 1, 1);
  if (entry.conversion == Conversion::kCutInMoments) {
    shape.insert(shape.begin() + 2, static_cast<int64_t>(entry.stored.size()));
  }
  if (entry.conversion == Conversion::kCutInRows) {
    shape[0] = 0;
    for (const std::string& part : entry.stored) shape[0] += entry.from->shape(part)[0];
  }
  return shape;
}

ElementType ConvertedStore::type(std::string_view name) const {
  const Entry& entry = find(name);
  return entry.from->type(entry.stored.front());
}

StoredTensor ConvertedStore::get(std::string_view name) const {
  const Entry& entry = find(name);
  if (entry.conversion == Conversion::kCutInRows) return joined_rows(entry);
  if (entry.conversion == Conversion::kCutInMoments) return joined_moments(entry);
  const std::string& stored = entry.stored.front();
  StoredTensor tensor = entry.from->get(stored);
  if (entry.conversion == Conversion::kPairedRows) {
    return rows_of(std::move(tensor), original_rows(shape_of(tensor)[0], entry.heads));
  }
  if (entry.conversion == Conversion::kNoMiddle) return std::get<at::Tensor>(tensor).unsqueeze(1);
  if (entry.conversion == Conversion::kNegativeExp) {
    const at::Tensor& x = std::get<at::Tensor>(tensor);
    check(x.lt(0).all().item<bool>(), ErrorCode::kInvalidArgument,
          path_ + ": " + stored + ": expected numbers below 0, got others");
    return x.neg().log();
  }
  return tensor;
}

const Entry& ConvertedStore::find(std::string_view name) const {
  const auto it = index_.find(name);
  check(it != index_.end(), ErrorCode::kNotFound, path_ + ": no tensor " + std::string(name));
  return it->second;
}

}  // namespace lv
