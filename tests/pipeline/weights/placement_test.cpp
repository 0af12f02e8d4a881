#include "pipeline/weights/placement.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/nn/linear.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/fitting.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

const Placement kAuto{at::kCPU, std::nullopt};

}  // namespace

TEST_CASE("placements are read from a device and a type") {
  CHECK(parse_placement("cpu", "float32").dtype == at::kFloat);
  CHECK(parse_placement("cpu", "bfloat16").dtype == at::kBFloat16);
  CHECK_FALSE(parse_placement("cpu", "auto").dtype.has_value());
  CHECK(parse_placement("cpu", "auto").device.is_cpu());
  for (const char* wrong : {"gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda1", "cpu:0"}) {
    CAPTURE(wrong);
    CHECK_THROWS_MATCHES(parse_placement(wrong, "auto"), Error,
                         IsError(ErrorCode::kInvalidArgument, "device: expected cpu, cuda or"));
  }
  CHECK_THROWS_MATCHES(parse_placement("cpu", "int8"), Error,
                       IsError(ErrorCode::kInvalidArgument, "got 'int8'"));
  CHECK_THROWS_MATCHES(parse_placement("cpu", "float16"), Error,
                       IsError(ErrorCode::kUnimplemented, "float16"));
  CHECK_THROWS_MATCHES(parse_placement("cuda:4096", "auto"), Error,
                       IsError(ErrorCode::kFailedPrecondition, "device cuda:4096"));
}

TEST_CASE("auto follows the types that are stored") {
  const auto tensors = [](at::ScalarType type) {
    return MemoryStore({{"a", at::zeros({8, 32}, type)}, {"b", at::zeros({32})}});
  };
  const at::Device cuda(at::kCUDA, 0);
  CHECK(computing_for({cuda, std::nullopt}, tensors(at::kHalf)).dtype == at::kHalf);
  CHECK(computing_for({cuda, std::nullopt}, tensors(at::kBFloat16)).dtype == at::kBFloat16);
  CHECK(computing_for({cuda, std::nullopt}, tensors(at::kFloat)).dtype == at::kFloat);
  CHECK(computing_for(kAuto, tensors(at::kFloat)).dtype == at::kFloat);
  const Computing halves = computing_for(kAuto, tensors(at::kHalf));
  CHECK(halves.dtype == (has_fast_bfloat16() ? at::kBFloat16 : at::kFloat));
  CHECK(halves.as_stored == !has_fast_bfloat16());
  CHECK(stored_bytes_of(tensors(at::kHalf)).float16 == 512);
  CHECK(stored_bytes_of(tensors(at::kHalf)).total() == 640);
}

TEST_CASE("matrices of half precision stay in their memory on the CPU") {
  if (has_fast_bfloat16()) {
    SUCCEED("this processor computes in bfloat16");
    return;
  }
  const auto type = GENERATE(at::kHalf, at::kBFloat16);
  const at::Tensor weight = at::randn({5, 64}).to(type);
  const Checkpoint checkpoint =
      checkpoint_of("null", {{"a.weight", weight}, {"a.bias", at::ones({5}, type)}}).placed(kAuto);
  const Linear linear(checkpoint.root() / "a", 64, 5);
  const auto blocks = std::get<QuantizedMatrix>(linear.weight());
  CHECK(blocks.blocks.const_data_ptr() == weight.const_data_ptr());
  const at::Tensor x = at::randn({3, 64});
  // No weight is rounded: float32 sums in another order.
  CHECK_THAT(linear(x), CloseTo(at::linear(x, weight.to(at::kFloat), at::ones({5})), 1e-5, 1e-5));
  const Embedding table(checkpoint.root() / "a", 5, 64);
  CHECK(at::equal(table(at::tensor({3, 1}, at::kLong)),
                  weight.to(at::kFloat).index_select(0, at::tensor({3, 1}, at::kLong))));
}

TEST_CASE("rows that are no whole blocks become dense") {
  const at::Tensor weight = at::randn({5, 33}).to(at::kHalf);
  const Checkpoint checkpoint = checkpoint_of("null", {{"a.weight", weight}});
  for (const auto& placement : {kAuto, Placement{at::kCPU, at::kBFloat16}}) {
    const Checkpoint placed = checkpoint.placed(placement);
    const Linear linear(placed.root() / "a", 33, 5);
    const at::Tensor x = at::randn({2, 33}).to(placed.computing().dtype);
    CHECK(linear(x).scalar_type() == placed.computing().dtype);
    CHECK_THAT(linear(x).to(at::kFloat),
               CloseTo(at::linear(x.to(at::kFloat), weight.to(at::kFloat)), 2e-2, 2e-2));
  }
}

TEST_CASE("an outline lists everything that does not fit") {
  const Checkpoint checkpoint = checkpoint_of(
      "null",
      {{"a.weight", at::ones({2, 3})}, {"b.weight", at::ones({4})}, {"c.weight", at::ones({2})}});
  const auto build = [](const Checkpoint& each) {
    const WeightScope root = each.root();
    const at::Tensor sum = (root / "a").get("weight", {2, 3}) + 1;
    (root / "b").get("weight", {5});
    (root / "d").get("weight", {7, -1});
    (root / "e").matrix("weight", 1 << 24, 1 << 24);  // takes no memory
    each.finish();
    return sum;
  };
  CHECK_THROWS_MATCHES(
      build_fitting(checkpoint, build), Error,
      IsError(ErrorCode::kInvalidArgument,
              "tiny: tensors that are missing: d.weight [7, *], e.weight [16777216, 16777216]; "
              "tensors of another shape: b.weight: expected [5], got [4]; tensors that the model "
              "does not know: c.weight"));
  const Checkpoint outline = checkpoint.outline();
  CHECK(outline.misfit().empty());
  CHECK_THROWS_AS(build(outline), Error);
  CHECK(outline.misfit().missing.size() == 2);
  CHECK(outline.misfit().other_shapes.size() == 1);
  CHECK(outline.misfit().unknown == std::vector<std::string>{"c.weight"});
}

TEST_CASE("an outline does not go on for ever") {
  const Checkpoint checkpoint = checkpoint_of("null", {{"a.weight", at::ones({2})}});
  int64_t asked = 0;
  const auto build = [&](const Checkpoint& each) {
    for (int64_t i = 0; i < (1 << 30); ++i, ++asked) (each.root() / i).get("weight", {2});
    return 0;
  };
  CHECK_THROWS_MATCHES(build_fitting(checkpoint, build), Error,
                       IsError(ErrorCode::kInvalidArgument, "and 992 more"));
  CHECK(asked < 2000);
}

TEST_CASE("errors of a configuration name its checkpoint") {
  const auto build = [](const Checkpoint& each) {
    return each.config().at("hidden_size").as_int();
  };
  CHECK_THROWS_MATCHES(build_fitting(checkpoint_of("null", {}), build), Error,
                       IsError(ErrorCode::kInvalidArgument, "tiny: JSON"));
}

TEST_CASE("a part of an outline is an outline") {
  const Checkpoint part = checkpoint_of("null", {{"x.a", at::ones({2})}})
                              .placed({at::kCPU, at::kBFloat16})
                              .outline()
                              .part(Json(), {{"x.", ""}});
  CHECK(part.root().get("a", {2}).sum().item<double>() == 0);
  CHECK(part.root().get("b", {2}).scalar_type() == at::kBFloat16);
  CHECK_THROWS_MATCHES(part.finish(), Error,
                       IsError(ErrorCode::kInvalidArgument, "missing: b [2]"));
}

}  // namespace lv
