#include "vision/compressors/budget.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

using Catch::Matchers::Contains;

Budget budget_of(const std::string& text) {
  Params params = Params::parse(text);
  return Budget(params, "x");
}

TEST_CASE("budget: a share rounds down, but leaves at least one token") {
  CHECK(budget_of("").of(7) == 7);
  CHECK(budget_of("keep=0.5").of(7) == 3);
  CHECK(budget_of("keep=0.1").of(7) == 1);
  CHECK(budget_of("keep=0.29").of(100) == 29);  // 0.29 * 100 is less than 29 in binary
  CHECK(budget_of("keep=0.5").of(0) == 0);
  CHECK(budget_of("keep=0.5").keep(7) == 0.5);
}

TEST_CASE("budget: a count of tokens never asks for more than there are") {
  CHECK(budget_of("tokens=4").of(7) == 4);
  CHECK(budget_of("tokens=4").of(3) == 3);
  CHECK(budget_of("tokens=4").of(0) == 0);
  CHECK(budget_of("tokens=4").keep(8) == 0.5);
}

TEST_CASE("budget: groups are the pictures, or the clip") {
  VisualTokens tokens;
  tokens.features = at::zeros({5, 2});
  tokens.offsets = at::tensor({0, 2, 2, 5}, at::kInt);
  const auto pictures = budget_of("keep=0.5").groups(tokens);
  REQUIRE(pictures.size() == 3);
  CHECK(pictures[1].first == 2);
  CHECK(pictures[1].last == 2);
  CHECK(pictures[2].last == 5);
  CHECK_FALSE(budget_of("keep=0.5").over_clip());
  const Budget over = budget_of("keep=0.5,over=clip");
  CHECK(over.over_clip());
  REQUIRE(over.groups(tokens).size() == 1);
  CHECK(over.groups(tokens)[0].last == 5);
}

TEST_CASE("budget: a value out of range is refused by name") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"keep=0", "x.keep: expected more than 0"},
      {"keep=1.5", "x.keep: expected more than 0, at most 1, got 1.5"},
      {"tokens=-1", "x.tokens: expected at least 1, got -1"},
      {"keep=0.5,tokens=3", "x: expected keep or tokens, got both"},
      {"over=film", "x.over: expected picture or clip, got film"},
  }));
  CHECK_THROWS_WITH(budget_of(text), Contains(message));
}

}  // namespace
}  // namespace lv::vision
