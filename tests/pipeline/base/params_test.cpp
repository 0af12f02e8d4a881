#include "pipeline/base/params.h"

#include <catch2/catch.hpp>

#include "pipeline/base/registry.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Square : Shape {
  int corners() const override { return 4; }
};
std::unique_ptr<Shape> make_square(Params params) {
  params.done("square");
  return std::make_unique<Square>();
}

}  // namespace

TEST_CASE("params are read as what they are asked for") {
  Params params = Params::parse("n=-3,x=0.5,on=true,off=0,name=a=b,empty=");
  CHECK(params.get("n", 1) == -3);
  CHECK(params.get("x", 1.0) == 0.5);
  CHECK(params.get("on", false));
  CHECK_FALSE(params.get("off", true));
  CHECK(params.get("name", "y") == "a=b");
  CHECK(params.get("empty", "y").empty());
  CHECK(params.get("absent", 7) == 7);
  CHECK_NOTHROW(params.done("thing"));
}

TEST_CASE("params that do not parse whole are refused by key") {
  Params params = Params::parse("n=3x,x=,on=yes,m=99999999999999999999");
  CHECK_THROWS_MATCHES(
      params.get("n", 1), Error,
      IsError(ErrorCode::kInvalidArgument, "n: expected a whole number, got '3x'"));
  CHECK_THROWS_MATCHES(params.get("x", 1.0), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected a number, got ''"));
  CHECK_THROWS_MATCHES(params.get("on", true), Error,
                       IsError(ErrorCode::kInvalidArgument, "on: expected true or false"));
  CHECK_THROWS_MATCHES(params.get("m", 1), Error, IsError(ErrorCode::kInvalidArgument, "m: "));
}

TEST_CASE("params without a key or value, or given twice, are refused") {
  const auto text = GENERATE("n", "=3", "n=1,,m=2", "n=1,n=2");
  CAPTURE(text);
  CHECK_THROWS_MATCHES(Params::parse(text), Error,
                       IsError(ErrorCode::kInvalidArgument, "option '"));
}

TEST_CASE("params that nobody asked for are named with those that are known") {
  Params params = Params::parse("budget=3,keeep=0.5");
  params.get("budget", 1);
  params.get("keep", 1.0);
  CHECK_THROWS_MATCHES(
      params.done("tome"), Error,
      IsError(ErrorCode::kInvalidArgument, "tome: unknown option keeep; known: budget, keep"));
}

TEST_CASE("a default does not replace what was given") {
  Params params = Params::parse("keep=0.5");
  params.set_default("keep", "1");
  params.set_default("method", "tome");
  CHECK(params.get("keep", 0.0) == 0.5);
  CHECK(params.get("method", "") == "tome");
}

TEST_CASE("a registry makes what it lists and names what it knows") {
  const Registry<Shape, Params> all{"shape", {{"square", make_square}, {"box", make_square}}};
  CHECK(all.names() == std::vector<std::string>{"box", "square"});
  CHECK(all.contains("square"));
  CHECK(all.make("square", Params())->corners() == 4);
  CHECK_THROWS_MATCHES(all.make("circle", Params()), Error,
                       IsError(ErrorCode::kNotFound,
                               "shape 'circle': not known; there are box, "
                               "square"));
  CHECK_THROWS_MATCHES(all.make("square", Params::parse("a=1")), Error,
                       IsError(ErrorCode::kInvalidArgument, "unknown option a (it has none)"));
}

TEST_CASE("a name registered twice is a bug that shows at once") {
  const auto twice = [] {
    return Registry<Shape, Params>{"shape", {{"square", make_square}, {"square", make_square}}};
  };
  CHECK_THROWS_MATCHES(twice(), Error,
                       IsError(ErrorCode::kInternal, "shape square: registered twice"));
}

}  // namespace lv
