#include "pipeline/base/json.h"

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {

TEST_CASE("json keeps kinds, numbers and the order of keys") {
  const Json x = parse_json(
      R"({"z": 1, "a": [true, null, -2.5, "\u00e9\n"], "big": 9223372036854775807,
          "bigger": 9223372036854775808, "o": {}})",
      "x");
  CHECK(x.as_object()[0].first == "z");
  CHECK(x.as_object()[1].first == "a");
  CHECK(x.at("z").as_int() == 1);
  CHECK(x.at("z").as_double() == 1.0);
  const Json::Array& a = x.at("a").as_array();
  CHECK(a[0].as_bool());
  CHECK(a[1].is_null());
  CHECK(a[2].as_double() == -2.5);
  CHECK(a[3].as_string() == "\xC3\xA9\n");
  CHECK(x.at("big").as_int() == INT64_MAX);
  CHECK_FALSE(x.at("bigger").is_int());
  CHECK(x.at("bigger").as_double() == 9223372036854775808.0);
  CHECK(x.at("o").as_object().empty());
}

TEST_CASE("json prints what it reads") {
  const std::string text = R"({"b":[1,2.5,"x\"y",null,true],"a":{}})";
  CHECK(parse_json(text, "x").dump() == text);
  CHECK(parse_json("[1]", "x").dump(2) == "[\n  1\n]");
  CHECK(Json("a\xFFz").dump() == "\"a\xEF\xBF\xBDz\"");
}

TEST_CASE("json that is broken is refused with its name and place") {
  const auto text =
      GENERATE("", "{", "[1,", "{\"a\" 1}", "nul", "1 2", "\"\xFF\"", "[1]]", "{1:2}");
  CAPTURE(text);
  CHECK_THROWS_MATCHES(parse_json(text, "file.json"), Error,
                       IsError(ErrorCode::kInvalidArgument, "file.json: expected JSON"));
}

TEST_CASE("json nests 64 levels and no deeper") {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK_NOTHROW(parse_json(nested(64), "x"));
  CHECK_THROWS_MATCHES(parse_json(nested(65), "x"), Error,
                       IsError(ErrorCode::kInvalidArgument, "at most 64 levels"));
  CHECK_THROWS_MATCHES(parse_json(std::string(1 << 20, '['), "x"), Error,
                       IsError(ErrorCode::kInvalidArgument, "at most 64 levels"));
}

TEST_CASE("json members of the wrong kind are named") {
  const Json x = parse_json(R"({"n": "many", "f": 0.5, "none": null})", "x");
  CHECK_THROWS_MATCHES(x.get("n", 3), Error,
                       IsError(ErrorCode::kInvalidArgument, "n: JSON: expected a whole number"));
  CHECK_THROWS_MATCHES(x.get("f", 3), Error, IsError(ErrorCode::kInvalidArgument, "got a number"));
  CHECK(x.get("none", 3) == 3);
  CHECK(x.get("absent", "y") == "y");
  CHECK(x.get("n", "y") == "many");
  CHECK_THROWS_MATCHES(x.at("absent"), Error,
                       IsError(ErrorCode::kInvalidArgument, "a member 'absent'"));
  CHECK(parse_json("3", "x").find("a") == nullptr);
  CHECK_THROWS_MATCHES(Json(3).as_array(), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected an array, got a number"));
}

TEST_CASE("json values are built piece by piece") {
  Json x;
  x.set("a", 1);
  x.set("b", Json::Array{});
  x.set("a", 2);
  CHECK(x.dump() == R"({"a":2,"b":[]})");
  Json list;
  list.push_back("x");
  CHECK(list.dump() == R"(["x"])");
  CHECK_THROWS_MATCHES(list.set("a", 1), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected an object, got an array"));
  CHECK_THROWS_MATCHES(x.push_back(1), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected an array, got an object"));
}

TEST_CASE("json files have a ceiling") {
  const TemporaryFolder folder;
  write_file(folder / "x.json", "[1, 2]");
  CHECK(read_json_file(folder / "x.json").as_array().size() == 2);
  CHECK_THROWS_MATCHES(read_json_file(folder / "x.json", 5), Error,
                       IsError(ErrorCode::kInvalidArgument, "at most 5 bytes, got 6"));
  CHECK_THROWS_MATCHES(read_json_file(folder / "none"), Error,
                       IsError(ErrorCode::kNotFound, "none"));
}

}  // namespace lv
