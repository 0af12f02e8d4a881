#include "pipeline/weights/gguf.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/pipeline/weights/gguf_writer.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

using namespace std::string_literals;

void open_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "x.gguf", bytes);
  open_gguf(folder / "x.gguf");
}

constexpr uint32_t kQ8_0 = 8;

}  // namespace

TEST_CASE("gguf metadata of every type is read") {
  const TemporaryFolder folder;
  GgufWriter file(0, 14);
  file.key("u8", 0).put(uint8_t{255});
  file.key("i8", 1).put(int8_t{-1});
  file.key("u16", 2).put(uint16_t{65535});
  file.key("i16", 3).put(int16_t{-2});
  file.key("u32", 4).put(uint32_t{4294967295});
  file.key("i32", 5).put(int32_t{-3});
  file.key("f32", 6).put(0.5F);
  file.key("bool", 7).put(uint8_t{1});
  file.key("string", 8).put(uint64_t{3}).text("a\0b"s);
  file.key("array", 9).put(uint32_t{8}).put(uint64_t{2});
  file.string("x").string("");
  file.key("u64", 10).put(uint64_t{1} << 40);
  file.key("huge", 10).put(UINT64_MAX);
  file.key("i64", 11).put(int64_t{-4});
  file.key("f64", 12).put(0.25);
  write_file(folder / "x.gguf", file.bytes());
  const Json metadata = open_gguf(folder / "x.gguf").metadata;
  CHECK(metadata.at("u8").as_int() == 255);
  CHECK(metadata.at("i8").as_int() == -1);
  CHECK(metadata.at("u16").as_int() == 65535);
  CHECK(metadata.at("i16").as_int() == -2);
  CHECK(metadata.at("u32").as_int() == 4294967295);
  CHECK(metadata.at("i32").as_int() == -3);
  CHECK(metadata.at("f32").as_double() == 0.5);
  CHECK(metadata.at("bool").as_bool());
  CHECK(metadata.at("string").as_string() == "a\0b"s);
  CHECK(metadata.at("array") == Json(Json::Array{Json("x"), Json("")}));
  CHECK(metadata.at("u64").as_int() == int64_t{1} << 40);
  CHECK(metadata.at("huge").as_double() == 18446744073709551615.0);
  CHECK(metadata.at("i64").as_int() == -4);
  CHECK(metadata.at("f64").as_double() == 0.25);
}

TEST_CASE("gguf tensors are row-major and keep their blocks") {
  const TemporaryFolder folder;
  GgufWriter file(3, 0);
  file.tensor("dense", {3, 2}, kFloat32, 0);
  file.tensor("blocks", {64, 2}, kQ8_0, 32);
  file.tensor("half", {1}, 1, 192);
  write_file(folder / "x.gguf", file.with_data(194));
  const auto tensors = open_gguf(folder / "x.gguf").tensors;
  CHECK(tensors->names() == std::vector<std::string>{"blocks", "dense", "half"});
  CHECK(tensors->shape("dense") == std::vector<int64_t>{2, 3});
  const auto matrix = std::get<QuantizedMatrix>(tensors->get("blocks"));
  CHECK(matrix.format == BlockFormat::kQ8_0);
  CHECK(matrix.rows == 2);
  CHECK(matrix.columns == 64);
  CHECK_THAT(matrix.blocks, CloseTo(at::ones({2, 68}), 0, 0));
  CHECK(std::get<at::Tensor>(tensors->get("half")).scalar_type() == at::kHalf);
}

TEST_CASE("a gguf file of another alignment is read") {
  const TemporaryFolder folder;
  GgufWriter file(1, 1);
  file.key("general.alignment", 4).put(uint32_t{64});
  file.tensor("a", {4}, kFloat32, 64);
  file.pad_to(64).text(std::string(64, '\0')).put(1.0F).put(2.0F).put(3.0F).put(4.0F);
  write_file(folder / "x.gguf", file.bytes());
  const auto a = std::get<at::Tensor>(open_gguf(folder / "x.gguf").tensors->get("a"));
  CHECK_THAT(a, CloseTo(at::arange(1, 5), 0, 0));
}

TEST_CASE("a gguf file cut anywhere is refused") {
  const std::string whole = read_file(data("tests/data/weights/tiny_llama.gguf"));
  // Every length of the header, then steps through the data.
  const size_t header = whole.find("blk.0.ffn_down.weight") + 80;
  // The writer pads behind the last tensor, which needs 256 * 34 bytes.
  for (size_t length = 0; length + 32 < whole.size(); length += length < header ? 1 : 997) {
    CAPTURE(length);
    CHECK_THROWS_MATCHES(open_bytes(whole.substr(0, length)), Error,
                         IsError(ErrorCode::kInvalidArgument, "x.gguf"));
  }
}

TEST_CASE("gguf headers that lie are refused") {
  const auto says = [](const std::string& bytes, const char* text) {
    CHECK_THROWS_MATCHES(open_bytes(bytes), Error, IsError(ErrorCode::kInvalidArgument, text));
  };
  says("GGML" + std::string(60, '\0'), "magic");
  says(ByteWriter().text("GGUF").put(uint32_t{1}).put(uint64_t{0}).put(uint64_t{0}).bytes(),
       "version: expected 2 or 3, got 1");
  says(GgufWriter(UINT64_MAX, 0).bytes(), "tensor count");
  says(GgufWriter(0, UINT64_MAX).bytes(), "key count");
  says(GgufWriter(0, 1).put(UINT64_MAX).bytes(), "key: expected 18446744073709551615 bytes");
  says(GgufWriter(0, 1).key("k", 13).bytes(), "value type of 0 to 12, got 13");
  says(GgufWriter(0, 2)
           .key("k", 0)
           .put(uint8_t{0})
           .put(uint64_t{1})
           .text("k")
           .put(uint32_t{0})
           .put(uint8_t{0})
           .bytes(),
       "key k: given twice");
  says(GgufWriter(0, 1).key("k", 8).put(uint64_t{1} << 62).bytes(), "k: expected");
  says(GgufWriter(0, 1).key("k", 9).put(uint32_t{0}).put(UINT64_MAX).bytes(), "fewer values");
  says(GgufWriter(0, 1).put(uint64_t{70000}).text(std::string(70000, 'k')).bytes(),
       "key: expected at most 65535 bytes, got 70000");
  GgufWriter deep(0, 1);
  deep.key("k", 9);
  for (int level = 0; level < 8; ++level) deep.put(uint32_t{9}).put(uint64_t{1});
  says(deep.bytes(), "nest too deep");
  for (const uint32_t alignment : {0U, 3U, 1U << 21}) {
    says(GgufWriter(0, 1).key("general.alignment", 4).put(alignment).bytes(), "a power of two");
  }
}

TEST_CASE("a gguf file of long texts is refused before memory is taken") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.gguf";
  const uint64_t length = uint64_t{3} << 30;
  write_file(path, GgufWriter(0, 1).key("k", 8).put(length).bytes());
  std::filesystem::resize_file(path, length + 4096);  // holes: it takes no disk
  CHECK_THROWS_MATCHES(open_gguf(path), Error,
                       IsError(ErrorCode::kInvalidArgument, "k: expected at most 268435456 bytes"));
}

TEST_CASE("gguf tensors that lie are refused") {
  const auto says = [](GgufWriter file, const char* text) {
    CHECK_THROWS_MATCHES(open_bytes(file.with_data(256)), Error,
                         IsError(ErrorCode::kInvalidArgument, text));
  };
  const auto one = [](std::vector<uint64_t> sizes, uint32_t type, uint64_t offset) {
    return GgufWriter(1, 0).tensor("a", std::move(sizes), type, offset);
  };
  says(one({1, 1, 1, 1, 1}, kFloat32, 0), "at most 4 dimensions");
  says(one({UINT64_MAX}, kFloat32, 0), "a: expected at most");
  says(one({65}, kFloat32, 0), "within the file");
  says(one({1}, kFloat32, 256), "within the file");
  says(one({1}, kFloat32, UINT64_MAX - 31), "within the file");
  says(one({uint64_t{1} << 62, 4}, kFloat32, 0), "within the file");
  says(one({0, uint64_t{1} << 62, uint64_t{1} << 62}, kFloat32, 0), "within the file");
  says(one({1}, kFloat32, 4), "a multiple of 32");
  says(one({1}, 99, 0), "a known one, got 99");
  says(one({33, 1}, kQ8_0, 0), "within the file");
  says(GgufWriter(2, 0).tensor("a", {1}, kFloat32, 0).tensor("a", {1}, kFloat32, 32),
       "given twice");
  says(GgufWriter(2, 0).tensor("a", {9}, kFloat32, 0).tensor("b", {1}, kFloat32, 32), "overlap");
}

TEST_CASE("gguf types that are not read are named") {
  CHECK_THROWS_MATCHES(open_bytes(GgufWriter(1, 0).tensor("a", {32, 1}, 20, 0).with_data(64)),
                       Error, IsError(ErrorCode::kUnimplemented, "tensor a: type IQ4_NL"));
  CHECK_THROWS_MATCHES(open_bytes(GgufWriter(1, 0).tensor("a", {32}, kQ8_0, 0).with_data(64)),
                       Error, IsError(ErrorCode::kUnimplemented, "Q8_0 with 1 dimensions"));
}

}  // namespace lv
