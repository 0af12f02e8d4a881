#include "pipeline/weights/gguf.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

#include "pipeline/base/error.h"
#include "pipeline/weights/byte_reader.h"
#include "pipeline/weights/mapped_store.h"

// Reference: ggml-org/ggml, docs/gguf.md.

namespace lv {
namespace {

constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxValues = 1 << 22;  // in all arrays together; a value grows in memory
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxTextBytes = 1 << 28;  // of all keys, names and strings together
constexpr int kMaxArrayDepth = 4;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint32_t kMaxAlignment = 1 << 20;

enum ValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

struct TensorType {
  uint32_t id;
  std::string_view name;
  std::optional<ElementType> type;  // absent where it is not read here
};

const TensorType& tensor_type(const ByteReader& reader, uint32_t id) {
  static const std::array<TensorType, 32> kTypes{{{0, "F32", at::kFloat},
                                                  {1, "F16", at::kHalf},
                                                  {2, "Q4_0", BlockFormat::kQ4_0},
                                                  {3, "Q4_1", BlockFormat::kQ4_1},
                                                  {6, "Q5_0", BlockFormat::kQ5_0},
                                                  {7, "Q5_1", BlockFormat::kQ5_1},
                                                  {8, "Q8_0", BlockFormat::kQ8_0},
                                                  {9, "Q8_1", {}},
                                                  {10, "Q2_K", BlockFormat::kQ2_K},
                                                  {11, "Q3_K", BlockFormat::kQ3_K},
                                                  {12, "Q4_K", BlockFormat::kQ4_K},
                                                  {13, "Q5_K", BlockFormat::kQ5_K},
                                                  {14, "Q6_K", BlockFormat::kQ6_K},
                                                  {15, "Q8_K", {}},
                                                  {16, "IQ2_XXS", {}},
                                                  {17, "IQ2_XS", {}},
                                                  {18, "IQ3_XXS", {}},
                                                  {19, "IQ1_S", {}},
                                                  {20, "IQ4_NL", {}},
                                                  {21, "IQ3_S", {}},
                                                  {22, "IQ2_S", {}},
                                                  {23, "IQ4_XS", {}},
                                                  {24, "I8", at::kChar},
                                                  {25, "I16", at::kShort},
                                                  {26, "I32", at::kInt},
                                                  {27, "I64", at::kLong},
                                                  {28, "F64", at::kDouble},
                                                  {29, "IQ1_M", {}},
                                                  {30, "BF16", at::kBFloat16},
                                                  {34, "TQ1_0", {}},
                                                  {35, "TQ2_0", {}},
                                                  {39, "MXFP4", {}}}};
  const auto it = std::ranges::find(kTypes, id, &TensorType::id);
  if (it == kTypes.end())
    reader.fail("tensor type: expected a known one, got " + std::to_string(id));
  return *it;
}

/// Reads one file from front to back.
class Parser {
 public:
  explicit Parser(MappedFilePtr file)
      : file_(std::move(file)), reader_(file_->bytes(), file_->path()) {}

  GgufFile parse() {
    if (reader_.text(4, "magic") != "GGUF") reader_.fail("magic: expected GGUF");
    const auto version = reader_.read<uint32_t>("version");
    if (version != 2 && version != 3) {
      reader_.fail("version: expected 2 or 3, got " + std::to_string(version));
    }
    const uint64_t tensors = count("tensor count", kMaxTensors);
    const uint64_t keys = count("key count", kMaxKeys);
    Json metadata = parse_metadata(keys);
    MappedStore::Index index = parse_tensors(tensors, alignment(metadata));
    return {std::move(metadata), std::make_shared<MappedStore>(file_, std::move(index))};
  }

 private:
  uint64_t count(std::string_view field, uint64_t limit) {
    const auto value = reader_.read<uint64_t>(field);
    if (value > limit) {
      reader_.fail(std::string(field) + ": expected at most " + std::to_string(limit) + ", got " +
                   std::to_string(value));
    }
    return value;
  }

  std::string text(std::string_view field) {
    const auto length = reader_.read<uint64_t>(field);
    if (length <= reader_.left() && length > kMaxTextBytes - text_bytes_) {
      reader_.fail(std::string(field) + ": expected at most " + std::to_string(kMaxTextBytes) +
                   " bytes of text in the file, got more");
    }
    const std::string_view found = reader_.text(length, field);
    text_bytes_ += length;
    return std::string(found);
  }

  Json parse_metadata(uint64_t keys) {
    Json::Object members;
    std::unordered_set<std::string> seen;
    for (uint64_t i = 0; i < keys; ++i) {
      std::string key = text("key");
      if (key.size() > kMaxKeyBytes) {
        reader_.fail("key: expected at most " + std::to_string(kMaxKeyBytes) + " bytes, got " +
                     std::to_string(key.size()));
      }
      if (!seen.insert(key).second) reader_.fail("key " + key + ": given twice");
      const auto type = reader_.read<uint32_t>(key);
      Json value = parse_value(key, type, 0);
      members.emplace_back(std::move(key), std::move(value));
    }
    return Json(std::move(members));
  }

  Json parse_value(const std::string& key, uint32_t type, int depth) {
    switch (type) {
      case kUint8:
        return Json(int64_t{reader_.read<uint8_t>(key)});
      case kInt8:
        return Json(int64_t{reader_.read<int8_t>(key)});
      case kUint16:
        return Json(int64_t{reader_.read<uint16_t>(key)});
      case kInt16:
        return Json(int64_t{reader_.read<int16_t>(key)});
      case kUint32:
        return Json(int64_t{reader_.read<uint32_t>(key)});
      case kInt32:
        return Json(int64_t{reader_.read<int32_t>(key)});
      case kFloat32:
        return Json(double{reader_.read<float>(key)});
      case kBool:
        return Json(reader_.read<uint8_t>(key) != 0);
      case kString:
        return Json(text(key));
      case kArray:
        return parse_array(key, depth);
      case kUint64: {
        const auto value = reader_.read<uint64_t>(key);
        // As in JSON: what does not fit in 63 bits is a double.
        if (value > static_cast<uint64_t>(INT64_MAX)) return Json(static_cast<double>(value));
        return Json(static_cast<int64_t>(value));
      }
      case kInt64:
        return Json(reader_.read<int64_t>(key));
      case kFloat64:
        return Json(reader_.read<double>(key));
      default:
        reader_.fail("key " + key + ": expected a value type of 0 to 12, got " +
                     std::to_string(type));
    }
  }

  Json parse_array(const std::string& key, int depth) {
    if (depth >= kMaxArrayDepth) reader_.fail("key " + key + ": arrays nest too deep");
    const auto type = reader_.read<uint32_t>(key);
    const auto size = reader_.read<uint64_t>(key);
    // Each value takes a byte at least, so a count that lies is caught before memory is taken.
    if (size > reader_.left() || size > kMaxValues - values_) {
      reader_.fail("key " + key + ": expected fewer values in arrays, got " + std::to_string(size));
    }
    values_ += size;
    Json::Array items;
    items.reserve(static_cast<size_t>(size));
    for (uint64_t i = 0; i < size; ++i) items.push_back(parse_value(key, type, depth + 1));
    return Json(std::move(items));
  }

  uint64_t alignment(const Json& metadata) const {
    const int64_t value = metadata.get("general.alignment", 32);
    if (value < 1 || value > kMaxAlignment || !std::has_single_bit(static_cast<uint64_t>(value))) {
      reader_.fail("general.alignment: expected a power of two, got " + std::to_string(value));
    }
    return static_cast<uint64_t>(value);
  }

  MappedStore::Index parse_tensors(uint64_t tensors, uint64_t alignment) {
    MappedStore::Index index;
    for (uint64_t i = 0; i < tensors; ++i) {
      std::string name = text("tensor name");
      MappedTensor tensor = parse_tensor(name, alignment);
      if (!index.emplace(name, std::move(tensor)).second) {
        reader_.fail("tensor " + name + ": given twice");
      }
    }
    const uint64_t data_begin = (reader_.position() + alignment - 1) / alignment * alignment;
    place(index, data_begin);
    return index;
  }

  MappedTensor parse_tensor(const std::string& name, uint64_t alignment) {
    const auto dimensions = reader_.read<uint32_t>(name);
    if (dimensions > kMaxDimensions) {
      reader_.fail("tensor " + name + ": expected at most 4 dimensions, got " +
                   std::to_string(dimensions));
    }
    MappedTensor tensor;
    for (uint32_t d = 0; d < dimensions; ++d) {
      tensor.shape.push_back(static_cast<int64_t>(count(name, INT64_MAX)));
    }
    std::ranges::reverse(tensor.shape);  // the file lists the fastest dimension first
    const TensorType& type = tensor_type(reader_, reader_.read<uint32_t>(name));
    tensor.offset = reader_.read<uint64_t>(name);
    const bool quantized = type.type && std::holds_alternative<BlockFormat>(*type.type);
    if (!type.type || (quantized && dimensions != 2)) {
      throw Error(ErrorCode::kUnimplemented,
                  file_->path() + ": tensor " + name + ": type " + std::string(type.name) +
                      " with " + std::to_string(dimensions) + " dimensions is not read here");
    }
    tensor.type = *type.type;
    if (tensor.offset % alignment != 0) {
      reader_.fail("tensor " + name + ": expected an offset that is a multiple of " +
                   std::to_string(alignment) + ", got " + std::to_string(tensor.offset));
    }
    return tensor;
  }

  /// Turns offsets into the data section to offsets into the file; tensors may not overlap.
  void place(MappedStore::Index& index, uint64_t data_begin) const {
    const uint64_t size = file_->bytes().size();
    std::vector<std::pair<uint64_t, uint64_t>> extents;
    for (auto& [name, tensor] : index) {
      const auto bytes = stored_bytes(tensor.type, tensor.shape);
      if (!bytes || data_begin > size || tensor.offset > size - data_begin ||
          *bytes > size - data_begin - tensor.offset) {
        reader_.fail("tensor " + name + ": expected its data within the file's " +
                     std::to_string(size) + " bytes");
      }
      tensor.offset += data_begin;
      if (*bytes > 0) extents.emplace_back(tensor.offset, tensor.offset + *bytes);
    }
    std::ranges::sort(extents);
    for (size_t i = 1; i < extents.size(); ++i) {
      if (extents[i].first < extents[i - 1].second) {
        reader_.fail("tensors overlap at byte " + std::to_string(extents[i].first));
      }
    }
  }

  MappedFilePtr file_;
  ByteReader reader_;
  uint64_t values_ = 0;
  uint64_t text_bytes_ = 0;
};

}  // namespace

GgufFile open_gguf(const std::string& path) {
  return Parser(std::make_shared<const MappedFile>(path)).parse();
}

}  // namespace lv
