#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lv {

/// GGUF's block formats: a row is a run of blocks of 32 or 256 weights, each with its own scale.
/// kF16 and kBF16 are floats without one, for processors that have no fast arithmetic on them:
/// their matrices are multiplied as they are stored, like quantised ones.
enum class BlockFormat {
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kF16,
  kBF16
};

struct BlockLayout {
  int64_t weights;  // in one block
  int64_t bytes;    // of one block
};
BlockLayout layout_of(BlockFormat format);
std::string_view name_of(BlockFormat format);  // "Q4_K"
using ElementType = std::variant<at::ScalarType, BlockFormat>;

/// A matrix whose rows stay quantised, as they lie in the file.
struct QuantizedMatrix {
  BlockFormat format = BlockFormat::kQ8_0;
  int64_t rows = 0;
  int64_t columns = 0;  // a multiple of layout_of(format).weights
  at::Tensor blocks;    // [rows, bytes of a row] uint8
};

/// A tensor as it is stored: dense in its own type, or quantised. Both may lie in a mapped file,
/// which they keep open; such memory is read-only.
using StoredTensor = std::variant<at::Tensor, QuantizedMatrix>;
std::vector<int64_t> shape_of(const StoredTensor& tensor);

/// A file, or several, of named tensors. Opening reads headers only. Immutable and thread-safe.
class TensorStore {
 public:
  virtual ~TensorStore() = default;
  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(std::string_view name) const = 0;
  /// Throws kNotFound that names the tensor and the file.
  virtual StoredTensor get(std::string_view name) const = 0;
  virtual std::vector<int64_t> shape(std::string_view name) const = 0;
  /// How the tensor is stored. Stores of files say it without reading the tensor.
  virtual ElementType type(std::string_view name) const;
};
using TensorStorePtr = std::shared_ptr<const TensorStore>;

/// One .safetensors file (huggingface/safetensors, format specification). Every length is checked
/// before it is used: kInvalidArgument on a header that lies, overlaps, or points past the end;
/// kNotFound if there is no file.
TensorStorePtr open_safetensors(const std::string& path);

/// A folder's model.safetensors, or the shards that its model.safetensors.index.json names.
TensorStorePtr open_safetensors_folder(const std::string& folder);

/// A CTranslate2 model.bin (binary version 6), whatever it holds. Scalars are tensors of no
/// dimensions; int8 weights keep their `<name>_scale` tensor beside them. An alias appears under
/// both names.
TensorStorePtr open_ctranslate2(const std::string& path);

}  // namespace lv
