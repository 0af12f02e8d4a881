#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/weights/tensor_store.h"
#include "tests/pipeline/weights/byte_writer.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

/// Writes the parts of a model.bin.
class ModelWriter : public ByteWriter {
 public:
  explicit ModelWriter(uint32_t variables) {
    put(uint32_t{6});
    name("TinySpec").put(uint32_t{1}).put(variables);
  }
  ModelWriter& name(std::string_view text_of_name) {
    put(static_cast<uint16_t>(text_of_name.size() + 1)).text(text_of_name).put('\0');
    return *this;
  }
  ModelWriter& variable(std::string_view variable_name, std::vector<uint32_t> sizes, uint8_t type,
                        const std::string& bytes) {
    name(variable_name).put(static_cast<uint8_t>(sizes.size()));
    for (const uint32_t size : sizes) put(size);
    put(type).put(static_cast<uint32_t>(bytes.size())).text(bytes);
    return *this;
  }
};

std::string small_model() {
  ModelWriter file(3);
  file.variable("a/weight", {2, 2}, 0, ByteWriter().put(1.F).put(2.F).put(3.F).put(4.F).bytes());
  file.variable("a/heads", {}, 2, ByteWriter().put(int16_t{6}).bytes());
  file.variable("a/half", {1}, 4, ByteWriter().put(uint16_t{0x3C00}).bytes());
  file.put(uint32_t{1});
  file.name("b/weight").name("a/weight");
  return file.bytes();
}

void open_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "model.bin", bytes);
  open_ctranslate2(folder / "model.bin");
}

at::Tensor dense(const TensorStorePtr& store, const char* name) {
  return std::get<at::Tensor>(store->get(name));
}

}  // namespace

TEST_CASE("ctranslate2 variables, scalars and aliases are read") {
  const TemporaryFolder folder;
  write_file(folder / "model.bin", small_model());
  const auto store = open_ctranslate2(folder / "model.bin");
  CHECK(store->names() == std::vector<std::string>{"a/half", "a/heads", "a/weight", "b/weight"});
  CHECK_THAT(dense(store, "b/weight"), CloseTo(at::arange(1, 5).view({2, 2}), 0, 0));
  CHECK(dense(store, "a/heads").item<int64_t>() == 6);
  CHECK(dense(store, "a/half").scalar_type() == at::kHalf);
  CHECK(dense(store, "a/half").item<float>() == 1.0F);
}

TEST_CASE("a ctranslate2 file cut anywhere, or too long, is refused") {
  const std::string whole = small_model();
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_MATCHES(open_bytes(whole.substr(0, length)), Error,
                         IsError(ErrorCode::kInvalidArgument, "model.bin"));
  }
  CHECK_THROWS_MATCHES(open_bytes(whole + "x"), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected the end of the file"));
}

TEST_CASE("ctranslate2 files that lie are refused") {
  const auto says = [](const ByteWriter& file, const char* text) {
    CHECK_THROWS_MATCHES(open_bytes(file.bytes()), Error,
                         IsError(ErrorCode::kInvalidArgument, text));
  };
  const std::string four(4, '\0');
  says(ByteWriter().put(uint32_t{5}), "binary version 6, got 5");
  says(ByteWriter().put(uint32_t{6}).put(uint16_t{3}).text("abc"), "ends in a zero byte");
  says(ModelWriter(UINT32_MAX), "length of a name");
  says(ModelWriter(1).variable("a", {1}, 6, four), "an element type of 0 to 5, got 6");
  says(ModelWriter(1).variable("a", {2}, 0, four), "as many bytes as its sizes need");
  says(ModelWriter(1).variable("a", {UINT32_MAX, UINT32_MAX, UINT32_MAX}, 0, ""), "as many bytes");
  says(ModelWriter(2).variable("a", {1}, 0, four).variable("a", {1}, 0, four), "given twice");
  ModelWriter lost(0);
  lost.put(uint32_t{1});
  says(lost.name("alias").name("nothing"), "expected a variable, got nothing");
}

TEST_CASE("the real Whisper model is read", "[models]") {
  const auto store = open_ctranslate2(data(".deps/models/whisper-tiny.en/model.bin"));
  CHECK(store->names().size() == 149);
  CHECK(store->shape("encoder/conv1/weight") == std::vector<int64_t>{384, 80, 3});
  CHECK(dense(store, "encoder/num_heads").item<int64_t>() == 6);
  CHECK(dense(store, "decoder/alignment_layer").item<int64_t>() == -1);
  CHECK(store->shape("decoder/projection/weight") == std::vector<int64_t>{51864, 384});
  const at::Tensor gamma = dense(store, "decoder/layer_norm/gamma").to(at::kFloat);
  CHECK(at::isfinite(gamma).all().item<bool>());
  CHECK(gamma.mean().item<double>() > 0.5);
}

}  // namespace lv
