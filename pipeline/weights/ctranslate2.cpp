#include <ATen/ATen.h>

#include <array>

#include "pipeline/base/error.h"
#include "pipeline/weights/byte_reader.h"
#include "pipeline/weights/mapped_store.h"

// Reference: OpenNMT/CTranslate2, src/models/model.cc (binary version 6): u32 version, name and u32
// revision of the model's specification, u32 count of variables (name, u8 rank, u32 sizes, u8 type,
// u32 bytes, data), u32 count of aliases (alias, variable). Names end in a zero byte, which counts.

namespace lv {
namespace {

constexpr uint32_t kVersion = 6;
constexpr std::array kTypes{at::kFloat, at::kChar, at::kShort,
                            at::kInt,   at::kHalf, at::kBFloat16};  // by the file's type number

std::string read_name(ByteReader& reader) {
  const auto length = reader.read<uint16_t>("length of a name");
  const std::string_view text = reader.text(length, "name");
  if (text.empty() || text.find('\0') != text.size() - 1) {
    reader.fail("name: expected text that ends in a zero byte");
  }
  return std::string(text.substr(0, text.size() - 1));
}

MappedTensor read_variable(ByteReader& reader, const std::string& name) {
  MappedTensor tensor;
  const auto rank = reader.read<uint8_t>(name);
  for (int d = 0; d < rank; ++d) {
    tensor.shape.push_back(int64_t{reader.read<uint32_t>(name)});
  }
  const auto type = reader.read<uint8_t>(name);
  if (type >= kTypes.size()) {
    reader.fail(name + ": expected an element type of 0 to 5, got " + std::to_string(type));
  }
  tensor.type = kTypes[type];
  const auto length = reader.read<uint32_t>(name);
  const auto bytes = stored_bytes(tensor.type, tensor.shape);
  if (!bytes || *bytes != length) {
    reader.fail(name + ": expected as many bytes as its sizes need, got " + std::to_string(length));
  }
  tensor.offset = reader.position();
  reader.take(length, name);
  return tensor;
}

}  // namespace

TensorStorePtr open_ctranslate2(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  ByteReader reader(file->bytes(), path);
  const auto version = reader.read<uint32_t>("version");
  if (version != kVersion) {
    reader.fail("expected a CTranslate2 model of binary version 6, got " + std::to_string(version));
  }
  read_name(reader);
  reader.read<uint32_t>("revision");

  MappedStore::Index index;
  const auto variables = reader.read<uint32_t>("count of variables");
  for (uint32_t i = 0; i < variables; ++i) {
    std::string name = read_name(reader);
    MappedTensor tensor = read_variable(reader, name);
    if (!index.emplace(name, std::move(tensor)).second) reader.fail(name + ": given twice");
  }
  const auto aliases = reader.read<uint32_t>("count of aliases");
  for (uint32_t i = 0; i < aliases; ++i) {
    std::string alias = read_name(reader);
    const std::string name = read_name(reader);
    const auto it = index.find(name);
    if (it == index.end()) reader.fail("alias " + alias + ": expected a variable, got " + name);
    const MappedTensor target = it->second;
    if (!index.emplace(alias, target).second) reader.fail(alias + ": given twice");
  }
  if (reader.left() != 0) {
    reader.fail("expected the end of the file, got " + std::to_string(reader.left()) +
                " bytes more");
  }
  return std::make_shared<MappedStore>(std::move(file), std::move(index));
}

}  // namespace lv
