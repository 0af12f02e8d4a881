#include "services/tensor_channel/tensor_channel.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>

#include "longview/v1/tensor.pb.h"
#include "pipeline/base/error.h"

namespace lv::services {
namespace {

v1::Tensor message_of(v1::DType type, std::vector<int64_t> shape, size_t bytes) {
  v1::Tensor message;
  message.set_dtype(type);
  message.mutable_shape()->Assign(shape.begin(), shape.end());
  message.set_data(std::string(bytes, '\1'));
  return message;
}

void check_refused(const v1::Tensor& message, const std::string& text) {
  INFO(message.ShortDebugString().substr(0, 200));
  try {
    take_tensor(std::make_shared<const v1::Tensor>(message), "x");
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK_THAT(error.what(), Catch::StartsWith("x: ") && Catch::Contains(text));
  }
}

TEST_CASE("a tensor of every type that travels comes back equal") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kInt,
                                    at::kLong, at::kByte, at::kChar}) {
    const at::Tensor x = at::arange(6).view({2, 3}).to(type);
    v1::Tensor message;
    put_tensor(x, &message);
    const at::Tensor got = take_tensor(std::make_shared<const v1::Tensor>(message), "x");
    CHECK(got.scalar_type() == type);
    CHECK(at::equal(got, x));
  }
}

TEST_CASE("strided, empty and zero-dimensional tensors come back equal") {
  for (const at::Tensor& x : {at::arange(6, at::kFloat).view({2, 3}).t(), at::empty({0, 3}),
                              at::full({}, 7.0f), at::arange(8, at::kInt).slice(0, 1, 8, 3)}) {
    v1::Tensor message;
    put_tensor(x, &message);
    CHECK(at::equal(take_tensor(std::make_shared<const v1::Tensor>(message), "x"), x));
  }
}

TEST_CASE("a received tensor lies over the message's bytes and keeps them alive") {
  auto message = std::make_shared<v1::Tensor>();
  put_tensor(at::arange(100, at::kInt), message.get());
  const void* bytes = message->data().data();
  const std::weak_ptr<v1::Tensor> watch = message;
  at::Tensor x = take_tensor(std::move(message), "x").slice(0, 50);
  CHECK(x.const_data_ptr() == static_cast<const char*>(bytes) + 200);
  CHECK_FALSE(watch.expired());
  CHECK(x[0].item<int>() == 50);
  x.reset();
  CHECK(watch.expired());
}

TEST_CASE("types that do not travel are refused on both sides") {
  v1::Tensor message;
  CHECK_THROWS_WITH(put_tensor(at::ones({2}, at::kBool), &message), Catch::Contains("Bool"));
  CHECK_THROWS_WITH(put_tensor(at::Tensor(), &message), Catch::Contains("no tensor"));
  check_refused(v1::Tensor(), "got none");
  check_refused(message_of(static_cast<v1::DType>(99), {1}, 1), "99");
}

TEST_CASE("shapes that do not fit their bytes are refused") {
  check_refused(message_of(v1::DTYPE_FLOAT32, {2, 3}, 23), "expected 24 bytes for [2, 3], got 23");
  check_refused(message_of(v1::DTYPE_FLOAT32, {2, 3}, 25), "got 25");
  check_refused(message_of(v1::DTYPE_FLOAT32, {-1}, 4), "not possible");
  check_refused(message_of(v1::DTYPE_UINT8, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 1), "8 dimensions");
}

TEST_CASE("shapes whose product overflows are refused") {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  check_refused(message_of(v1::DTYPE_FLOAT64, {int64_t{1} << 61}, 0), "not possible");
  check_refused(message_of(v1::DTYPE_UINT8, {int64_t{1} << 32, int64_t{1} << 32}, 0),
                "not possible");
  check_refused(message_of(v1::DTYPE_UINT8, {0, huge, huge}, 0), "not possible");
}

TEST_CASE("elements that lie elsewhere are not read") {
  v1::Tensor message = message_of(v1::DTYPE_UINT8, {1}, 1);
  message.mutable_shm()->set_name("/etc/passwd");
  check_refused(message, "only inline bytes");
  message.mutable_ipc()->set_handle("h");
  check_refused(message, "only inline bytes");
}

}  // namespace
}  // namespace lv::services
