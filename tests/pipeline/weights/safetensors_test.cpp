#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "pipeline/weights/tensor_store.h"
#include "tests/pipeline/weights/byte_writer.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

std::string file_of(const std::string& header, size_t data_bytes) {
  return ByteWriter()
      .put(static_cast<uint64_t>(header.size()))
      .text(header)
      .text(std::string(data_bytes, '\1'))
      .bytes();
}

/// What opening these bytes says; empty if it opens.
void open_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "x.safetensors", bytes);
  open_safetensors(folder / "x.safetensors");
}

at::Tensor dense(const TensorStorePtr& store, const char* name) {
  return std::get<at::Tensor>(store->get(name));
}

}  // namespace

TEST_CASE("safetensors of every type read as the safetensors package wrote them") {
  const auto store = open_safetensors(data("tests/data/weights/types.safetensors"));
  const at::Tensor x = at::arange(-3, 3).view({2, 3});
  const auto check_type = [&](const char* name, at::ScalarType type, const at::Tensor& expected) {
    CAPTURE(name);
    CHECK(dense(store, name).scalar_type() == type);
    CHECK_THAT(dense(store, name), CloseTo(expected, 0, 0));
    CHECK(store->shape(name) == std::vector<int64_t>{2, 3});
  };
  for (const auto& [name, type] : {std::pair("f64", at::kDouble), std::pair("f32", at::kFloat),
                                   std::pair("f16", at::kHalf), std::pair("bf16", at::kBFloat16)}) {
    check_type(name, type, x.to(at::kDouble) / 4);
  }
  for (const auto& [name, type] : {std::pair("i64", at::kLong), std::pair("i32", at::kInt),
                                   std::pair("i16", at::kShort), std::pair("i8", at::kChar)}) {
    check_type(name, type, x);
  }
  check_type("u8", at::kByte, x + 3);
  check_type("bool", at::kBool, x > 0);
  CHECK(dense(store, "scalar").dim() == 0);
  CHECK(dense(store, "scalar").item<float>() == 2.5F);
  CHECK(dense(store, "empty").sizes() == at::IntArrayRef{0, 4});
  CHECK(store->names().size() == 12);
}

TEST_CASE("a tensor outlives the store it came from") {
  at::Tensor x;
  {
    const TemporaryFolder folder;
    write_file(folder / "x.safetensors",
               file_of(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 3));
    x = dense(open_safetensors(folder / "x.safetensors"), "a");
  }
  CHECK_THAT(x, CloseTo(at::ones({3}), 0, 0));
}

TEST_CASE("a tensor that is not aligned is read all the same") {
  const TemporaryFolder folder;
  // The data begins at byte 8 + 127, and the floats one byte later.
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  header.resize(127, ' ');
  ByteWriter file;
  file.put(uint64_t{127}).text(header).put(uint8_t{9}).put(1.5F).put(-2.0F);
  write_file(folder / "x.safetensors", file.bytes());
  const auto store = open_safetensors(folder / "x.safetensors");
  CHECK_THAT(dense(store, "b"), CloseTo(at::tensor({1.5F, -2.0F}), 0, 0));
}

TEST_CASE("a file cut anywhere is refused") {
  const std::string whole = read_file(data("tests/data/weights/types.safetensors"));
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_MATCHES(open_bytes(whole.substr(0, length)), Error,
                         IsError(ErrorCode::kInvalidArgument, "x.safetensors"));
  }
}

TEST_CASE("safetensors headers that lie are refused") {
  struct Case {
    const char* header;
    size_t data_bytes;
    const char* says;
  };
  const auto c = GENERATE(values<Case>({
      {"", 0, "expected a JSON object"},
      {"[]", 0, "expected a JSON object"},
      {"{", 0, "expected JSON"},
      {R"({"a":1})", 0, "tensor a"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "'dtype'"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "'shape'"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "'data_offsets'"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "two numbers"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 4, "range within 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "range within 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4, "range within 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4]}})", 4, "a whole number"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "expected 8 bytes"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
       "tensor a: shape: expected sizes"},
      {R"({"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}})", 4,
       "x.safetensors: expected JSON"},
      {R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4,
       "x.safetensors: tensor a: shape: "},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4,
       "x.safetensors: tensor a: dtype: "},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       "a possible number"},
      {R"({"a":{"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}})", 0,
       "a possible number"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
       4, "a possible number"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "expected to begin at byte 2"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
       5, "expected to begin at byte 2"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 3, "expected 2 bytes of data"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       2, "given twice"},
  }));
  CAPTURE(c.header);
  CHECK_THROWS_MATCHES(open_bytes(file_of(c.header, c.data_bytes)), Error,
                       IsError(ErrorCode::kInvalidArgument, c.says));
}

TEST_CASE("an element type that is not read is named") {
  CHECK_THROWS_MATCHES(
      open_bytes(file_of(R"({"w":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1)), Error,
      IsError(ErrorCode::kUnimplemented, "'F4'"));
}

TEST_CASE("a header length beyond the file or the ceiling is refused before memory is taken") {
  const auto length = GENERATE(uint64_t{11}, uint64_t{100'000'001}, UINT64_MAX);
  CHECK_THROWS_MATCHES(open_bytes(ByteWriter().put(length).text("{}        ").bytes()), Error,
                       IsError(ErrorCode::kInvalidArgument, "header"));
}

TEST_CASE("a header with no tensors is a store of none") {
  const TemporaryFolder folder;
  write_file(folder / "x.safetensors", file_of(R"({"__metadata__":{"format":"pt"}})", 0));
  CHECK(open_safetensors(folder / "x.safetensors")->names().empty());
}

TEST_CASE("a safetensors file that is not there, or no file, is an error") {
  const TemporaryFolder folder;
  CHECK_THROWS_MATCHES(open_safetensors(folder / "none"), Error,
                       IsError(ErrorCode::kNotFound, "none"));
  CHECK_THROWS_MATCHES(open_safetensors(folder.path()), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected a file"));
}

TEST_CASE("a tensor that is not there is named") {
  const auto store = open_safetensors(data("tests/data/weights/types.safetensors"));
  CHECK_FALSE(store->contains("nothing"));
  CHECK_THROWS_MATCHES(store->get("nothing"), Error,
                       IsError(ErrorCode::kNotFound, "no tensor nothing"));
  CHECK_THROWS_MATCHES(store->shape("nothing"), Error,
                       IsError(ErrorCode::kNotFound, "no tensor nothing"));
}

TEST_CASE("a sharded folder reads as one store") {
  const auto store = open_safetensors_folder(data("tests/data/weights/sharded"));
  CHECK(store->names() == std::vector<std::string>{"a.weight", "b.weight", "c.bias"});
  CHECK_THAT(dense(store, "a.weight"), CloseTo(at::arange(6).view({2, 3}), 0, 0));
  CHECK_THAT(dense(store, "b.weight"), CloseTo(at::arange(4), 0, 0));
  CHECK(store->shape("c.bias") == std::vector<int64_t>{2});
  CHECK_THROWS_MATCHES(store->get("d"), Error, IsError(ErrorCode::kNotFound, "no tensor d"));
}

TEST_CASE("one file wins over an index beside it") {
  const TemporaryFolder folder;
  write_file(folder / "model.safetensors", file_of("{}", 0));
  write_file(folder / "model.safetensors.index.json", "{");
  CHECK(open_safetensors_folder(folder.path())->names().empty());
}

TEST_CASE("an index may not lead out of its folder") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "model");
  write_file(folder / "secret.safetensors",
             file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
  const std::string absolute = folder / "secret.safetensors";
  const std::string shard = GENERATE_COPY(std::string("../secret.safetensors"), absolute, "", ".",
                                          "..", "a\\\\b", "x\\u0000.safetensors");
  CAPTURE(shard);
  write_file(folder / "model/model.safetensors.index.json",
             R"({"weight_map": {"a": ")" + shard + R"("}})");
  CHECK_THROWS_MATCHES(open_safetensors_folder(folder / "model"), Error,
                       IsError(ErrorCode::kInvalidArgument, "name of a file beside it"));
}

TEST_CASE("an index that does not fit its shards is refused") {
  const TemporaryFolder folder;
  const auto open_index = [&](const char* index) {
    write_file(folder / "model.safetensors.index.json", index);
    return open_safetensors_folder(folder.path());
  };
  write_file(folder / "s.safetensors", file_of("{}", 0));
  CHECK_THROWS_MATCHES(open_index(R"({"weight_map": {"a": "s.safetensors"}})"), Error,
                       IsError(ErrorCode::kInvalidArgument, "no tensor a"));
  CHECK_THROWS_MATCHES(open_index(R"({"weight_map": {"a": "t.safetensors"}})"), Error,
                       IsError(ErrorCode::kNotFound, "t.safetensors"));
  CHECK_THROWS_MATCHES(open_index(R"({"weight_map": 3})"), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected an object"));
  CHECK_THROWS_MATCHES(open_index("{}"), Error,
                       IsError(ErrorCode::kInvalidArgument, "index.json: weight_map: "));
  CHECK_THROWS_MATCHES(open_index(R"({"weight_map": {"a": 1}})"), Error,
                       IsError(ErrorCode::kInvalidArgument, "index.json: tensor a: "));
}

TEST_CASE("a folder without weights says what was expected") {
  const TemporaryFolder folder;
  CHECK_THROWS_MATCHES(open_safetensors_folder(folder.path()), Error,
                       IsError(ErrorCode::kNotFound, "model.safetensors.index.json"));
}

}  // namespace lv
