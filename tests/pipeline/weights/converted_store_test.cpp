#include "pipeline/weights/converted_store.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

/// `x`, and the same under other names, as a store converts it.
ConvertedStore converted(ConvertedStore::Entry entry, NamedTensors stored) {
  entry.from = std::make_shared<const MemoryStore>(std::move(stored));
  ConvertedStore::Index index;
  index.emplace("x", std::move(entry));
  return ConvertedStore("file", std::move(index));
}

void check_reads(const ConvertedStore& store, const at::Tensor& expected) {
  CHECK(store.names() == std::vector<std::string>{"x"});
  CHECK(store.shape("x") == expected.sizes().vec());
  CHECK_THAT(std::get<at::Tensor>(store.get("x")), CloseTo(expected, 1e-6, 0));
}

void check_refuses(ConvertedStore::Entry entry, NamedTensors stored, const char* text) {
  CHECK_THROWS_MATCHES(converted(std::move(entry), std::move(stored)), Error,
                       IsError(ErrorCode::kInvalidArgument, text));
}

}  // namespace

TEST_CASE("what converters did to tensors is undone") {
  const at::Tensor rows = at::arange(16).view({8, 2}).to(at::kFloat);
  check_reads(converted({nullptr, {"a"}}, {{"a", rows}}), rows);
  // Two heads of four rows: 0 1 2 3 lie as 0 2 1 3.
  const at::Tensor order = at::tensor({0, 2, 1, 3, 4, 6, 5, 7}, at::kLong);
  check_reads(converted({nullptr, {"a"}, Conversion::kPairedRows, 2}, {{"a", rows.index({order})}}),
              rows);
  check_reads(converted({nullptr, {"a"}, Conversion::kNoMiddle}, {{"a", rows}}), rows.unsqueeze(1));
  check_reads(converted({nullptr, {"a"}, Conversion::kNegativeExp}, {{"a", rows.exp().neg()}}),
              rows);
  check_reads(converted({nullptr, {"a", "b"}, Conversion::kCutInRows},
                        {{"a", rows.slice(0, 0, 3)}, {"b", rows.slice(0, 3)}}),
              rows);
  const at::Tensor kernels = at::arange(48).view({2, 3, 2, 2, 2}).to(at::kFloat);
  check_reads(converted({nullptr, {"a", "b"}, Conversion::kCutInMoments},
                        {{"a", kernels.select(2, 0)}, {"b", kernels.select(2, 1)}}),
              kernels);
}

TEST_CASE("quantised matrices are put together as blocks") {
  QuantizedMatrix part{BlockFormat::kQ8_0, 2, 32, at::arange(68).view({2, 34}).to(at::kByte)};
  class Blocks : public MemoryStore {
   public:
    explicit Blocks(QuantizedMatrix matrix) : MemoryStore({}), matrix_(std::move(matrix)) {}
    StoredTensor get(std::string_view) const override { return matrix_; }
    std::vector<int64_t> shape(std::string_view) const override { return {2, 32}; }
    ElementType type(std::string_view) const override { return BlockFormat::kQ8_0; }

   private:
    QuantizedMatrix matrix_;
  };
  ConvertedStore::Index index;
  index["x"] = {std::make_shared<Blocks>(part), {"a", "b"}, Conversion::kCutInRows};
  const ConvertedStore store("file", index);
  const auto whole = std::get<QuantizedMatrix>(store.get("x"));
  CHECK(whole.rows == 4);
  CHECK(at::equal(whole.blocks, part.blocks.repeat({2, 1})));
  CHECK(store.type("x") == ElementType(BlockFormat::kQ8_0));
  CHECK(store.shape("x") == std::vector<int64_t>{4, 32});
}

TEST_CASE("tensors that no converter wrote are refused by name") {
  check_refuses({nullptr, {"a"}, Conversion::kPairedRows, 2}, {{"a", at::zeros({6, 2})}},
                "file: a: expected rows for 2 heads of even size, got [6, 2]");
  check_refuses({nullptr, {"a"}, Conversion::kNoMiddle}, {{"a", at::zeros({6})}},
                "a: expected a dense matrix, got [6]");
  check_refuses({nullptr, {"a", "b"}, Conversion::kCutInRows},
                {{"a", at::zeros({2, 2})}, {"b", at::zeros({2, 3})}},
                "b: expected sizes and type of a");
  check_refuses({nullptr, {"a", "b"}, Conversion::kCutInMoments},
                {{"a", at::zeros({2, 2})}, {"b", at::zeros({2, 2})}},
                "a: expected a dense convolution, got [2, 2]");
  const ConvertedStore zero =
      converted({nullptr, {"a"}, Conversion::kNegativeExp}, {{"a", at::zeros({2})}});
  CHECK_THROWS_MATCHES(zero.get("x"), Error,
                       IsError(ErrorCode::kInvalidArgument, "a: expected numbers below 0"));
  CHECK_THROWS_MATCHES(zero.get("y"), Error, IsError(ErrorCode::kNotFound, "no tensor y"));
}

}  // namespace lv
