#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "pipeline/weights/byte_reader.h"
#include "pipeline/weights/mapped_store.h"

// Reference: huggingface/safetensors, README "Format": u64 header length, JSON header, data that
// the tensors cover whole, without holes and without overlaps.

namespace lv {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the format's own library
constexpr size_t kMaxShards = 10'000;

[[noreturn]] void fail(const std::string& path, const std::string& text) {
  throw Error(ErrorCode::kInvalidArgument, path + ": " + text);
}

at::ScalarType element_type(const std::string& dtype) {
  static constexpr std::array<std::pair<std::string_view, at::ScalarType>, 16> kTypes{
      {{"BOOL", at::kBool},
       {"U8", at::kByte},
       {"I8", at::kChar},
       {"F8_E5M2", at::kFloat8_e5m2},
       {"F8_E4M3", at::kFloat8_e4m3fn},
       {"I16", at::kShort},
       {"U16", at::kUInt16},
       {"F16", at::kHalf},
       {"BF16", at::kBFloat16},
       {"I32", at::kInt},
       {"U32", at::kUInt32},
       {"F32", at::kFloat},
       {"C64", at::kComplexFloat},
       {"F64", at::kDouble},
       {"I64", at::kLong},
       {"U64", at::kUInt64}}};
  for (const auto& [name, type] : kTypes) {
    if (name == dtype) return type;
  }
  throw Error(ErrorCode::kUnimplemented, "element type '" + dtype + "' is not read here");
}

struct Extent {
  uint64_t begin;
  uint64_t end;
  std::string_view name;
};

/// Runs `read`, whose errors get `where` in front: which file, tensor and field.
template <class Read>
auto named(const std::string& where, Read read) {
  try {
    return read();
  } catch (const Error& problem) {
    throw Error(problem.code(), where + ": " + problem.what());
  }
}

/// One entry of the header; `data_size` bytes follow it. Errors name the field.
MappedTensor parse_entry(const Json& entry, uint64_t data_size, Extent& extent) {
  MappedTensor tensor;
  tensor.type = named("dtype", [&] { return element_type(entry.at("dtype").as_string()); });
  named("shape", [&] {
    for (const Json& size : entry.at("shape").as_array()) {
      tensor.shape.push_back(size.as_int());
      check(tensor.shape.back() >= 0, ErrorCode::kInvalidArgument,
            "expected sizes of 0 or more, got " + std::to_string(tensor.shape.back()));
    }
    return true;
  });
  named("data_offsets", [&] {
    const Json::Array& offsets = entry.at("data_offsets").as_array();
    check(offsets.size() == 2, ErrorCode::kInvalidArgument, "expected two numbers");
    const int64_t begin = offsets[0].as_int();
    const int64_t end = offsets[1].as_int();
    check(begin >= 0 && end >= begin && static_cast<uint64_t>(end) <= data_size,
          ErrorCode::kInvalidArgument,
          "expected a range within " + std::to_string(data_size) + " bytes, got " +
              std::to_string(begin) + " to " + std::to_string(end));
    const auto bytes = stored_bytes(tensor.type, tensor.shape);
    check(bytes && *bytes == static_cast<uint64_t>(end - begin), ErrorCode::kInvalidArgument,
          "expected " + (bytes ? std::to_string(*bytes) : std::string("a possible number of")) +
              " bytes for its shape, got " + std::to_string(end - begin));
    extent.begin = static_cast<uint64_t>(begin);
    extent.end = static_cast<uint64_t>(end);
    return true;
  });
  tensor.offset = extent.begin;
  return tensor;
}

/// Throws unless the extents cover [0, size) without holes and overlaps.
void check_cover(const std::string& path, std::vector<Extent> extents, uint64_t size) {
  std::ranges::sort(extents, {}, [](const Extent& x) { return std::pair(x.begin, x.end); });
  uint64_t covered = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != covered) {
      fail(path, "tensor " + std::string(extent.name) + ": expected to begin at byte " +
                     std::to_string(covered) + " of the data, got " + std::to_string(extent.begin));
    }
    covered = extent.end;
  }
  if (covered != size) {
    fail(path,
         "expected " + std::to_string(covered) + " bytes of data, got " + std::to_string(size));
  }
}

/// Tensors of several files under one roof.
class ShardedStore : public TensorStore {
 public:
  using Index = std::map<std::string, TensorStorePtr, std::less<>>;

  ShardedStore(std::string path, Index index) : path_(std::move(path)), index_(std::move(index)) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, shard] : index_) all.push_back(name);
    return all;
  }
  bool contains(std::string_view name) const override { return index_.contains(name); }
  StoredTensor get(std::string_view name) const override { return find(name).get(name); }
  std::vector<int64_t> shape(std::string_view name) const override {
    return find(name).shape(name);
  }
  ElementType type(std::string_view name) const override { return find(name).type(name); }

 private:
  const TensorStore& find(std::string_view name) const {
    const auto it = index_.find(name);
    if (it == index_.end()) {
      throw Error(ErrorCode::kNotFound, path_ + ": no tensor " + std::string(name));
    }
    return *it->second;
  }

  std::string path_;
  Index index_;
};

TensorStorePtr open_shards(const std::string& folder, const std::string& index_path) {
  const Json index = read_json_file(index_path);
  std::map<std::string, TensorStorePtr> shards;
  ShardedStore::Index tensors;
  const Json::Object& weight_map =
      *named(index_path + ": weight_map", [&] { return &index.at("weight_map").as_object(); });
  for (const auto& [name, shard] : weight_map) {
    const std::string file = named(index_path + ": tensor " + name,
                                   [&file_name = shard] { return file_name.as_string(); });
    // A plain file name: an index must not lead out of its folder.
    if (file.empty() || file == "." || file == ".." ||
        file.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      fail(index_path,
           "tensor " + name + ": expected the name of a file beside it, got '" + file + "'");
    }
    TensorStorePtr& store = shards[file];
    if (!store) {
      if (shards.size() > kMaxShards) fail(index_path, "expected at most 10000 files, got more");
      store = open_safetensors(folder + "/" + file);
    }
    if (!store->contains(name)) fail(folder + "/" + file, "no tensor " + name);
    if (!tensors.emplace(name, store).second) fail(index_path, "tensor " + name + ": given twice");
  }
  return std::make_shared<ShardedStore>(index_path, std::move(tensors));
}

}  // namespace

TensorStorePtr open_safetensors(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  ByteReader reader(file->bytes(), path);
  const auto header_bytes = reader.read<uint64_t>("header length");
  if (header_bytes > kMaxHeaderBytes) {
    reader.fail("header length: expected at most " + std::to_string(kMaxHeaderBytes) + ", got " +
                std::to_string(header_bytes));
  }
  const std::string_view text = reader.text(header_bytes, "header");
  if (text.empty() || text.front() != '{') reader.fail("header: expected a JSON object");
  const Json header = parse_json(text, path);
  const uint64_t data_begin = reader.position();
  const uint64_t data_size = reader.left();

  MappedStore::Index index;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.as_object()) {
    if (name == "__metadata__") continue;
    Extent extent{0, 0, name};
    MappedTensor tensor = named(path + ": tensor " + name, [&, &described = entry] {
      return parse_entry(described, data_size, extent);
    });
    tensor.offset += data_begin;
    extents.push_back(extent);
    if (!index.emplace(name, std::move(tensor)).second)
      fail(path, "tensor " + name + ": given twice");
  }
  check_cover(path, std::move(extents), data_size);
  return std::make_shared<MappedStore>(std::move(file), std::move(index));
}

TensorStorePtr open_safetensors_folder(const std::string& folder) {
  const std::string whole = folder + "/model.safetensors";
  const std::string index = whole + ".index.json";
  std::error_code ignored;
  if (std::filesystem::exists(whole, ignored)) return open_safetensors(whole);
  if (std::filesystem::exists(index, ignored)) return open_shards(folder, index);
  throw Error(ErrorCode::kNotFound,
              folder + ": expected model.safetensors or model.safetensors.index.json, got neither");
}

}  // namespace lv
