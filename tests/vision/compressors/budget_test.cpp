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

/// Pictures of two tokens, of none, and of three.
VisualTokens five_tokens() {
  VisualTokens tokens;
  tokens.features = at::zeros({5, 2});
  tokens.offsets = at::tensor({0, 2, 2, 5}, at::kInt);
  return tokens;
}

TEST_CASE("budget: a share rounds down, but leaves at least one token") {
  CHECK(budget_of("").of(7) == 7);
  CHECK(budget_of("keep=0.5").of(7) == 3);
  CHECK(budget_of("keep=0.1").of(7) == 1);
  CHECK(budget_of("keep=0.29").of(100) == 29);  // 0.29 * 100 is less than 29 in binary
  CHECK(budget_of("keep=0.5").of(0) == 0);
  CHECK(budget_of("keep=0.5").keep(five_tokens()) == 0.5);
  CHECK(budget_of("keep=0.29").up_of(100) == 29);
  CHECK(budget_of("keep=0.25").up_of(25, 1.25) == 8);
  CHECK(budget_of("keep=0.9").up_of(10, 2) == 10);
  CHECK(budget_of("keep=0.5").up_of(0) == 0);
}

TEST_CASE("budget: a count of tokens never asks for more than there are") {
  CHECK(budget_of("tokens=4").of(7) == 4);
  CHECK(budget_of("tokens=4").of(3) == 3);
  CHECK(budget_of("tokens=4").of(0) == 0);
  CHECK(budget_of("tokens=4").up_of(7) == 4);
  CHECK(budget_of("tokens=4").share_of(8) == 0.5);
  CHECK(budget_of("tokens=4").share_of(3) == 1);
  CHECK(budget_of("tokens=2").keep(five_tokens()) == 0.8);
  CHECK(budget_of("tokens=2,over=clip").keep(five_tokens()) == 0.4);
}

TEST_CASE("budget: groups are the pictures, or the clip") {
  const VisualTokens tokens = five_tokens();
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
      {"keep=-0.5", "x.keep: expected more than 0, at most 1, got -0.5"},
      {"keep=nan", "x.keep: expected more than 0, at most 1, got nan"},
      {"tokens=-1", "x.tokens: expected at least 1, got -1"},
      {"tokens=0", "x.tokens: expected at least 1, got 0"},
      {"keep=much", "x.keep: expected a number, got 'much'"},
      {"keep=0.5,tokens=3", "x: expected keep or tokens, got both"},
      {"over=film", "x.over: expected picture or clip, got film"},
  }));
  CHECK_THROWS_WITH(budget_of(text), Contains(message));
}

}  // namespace
}  // namespace lv::vision
