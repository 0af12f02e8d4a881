#include "llm/grammar/json_schema.h"

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/base/error.h"
#include "tests/support/is_error.h"

namespace lv::llm {
namespace {

std::string exact(const std::string& schema) { return exact_schema(schema).dump(); }

/// `count` times `before` around nothing.
std::string nested(int count, const std::string& before, const std::string& inside,
                   const std::string& behind) {
  std::string text = inside;
  for (int i = 0; i < count; ++i) text = before + text + behind;
  return text;
}

}  // namespace

TEST_CASE("a schema keeps what restricts texts and loses annotations") {
  CHECK(exact(R"({"title": "t", "x-note": 1, "type": "boolean", "default": true})") ==
        R"({"type":"boolean"})");
  CHECK(exact(R"({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 10})") ==
        R"({"type":"integer","minimum":1,"maximum":9})");
  CHECK(exact(R"({"const": {"a": [1]}})") == R"({"enum":[{"a":[1]}]})");
  CHECK(exact(R"({"type": "string", "format": "date", "$comment": ""})") ==
        R"({"type":"string","format":"date"})");
  CHECK(exact(R"({"type": "string", "format": "colour"})") == R"({"type":"string"})");
}

TEST_CASE("a schema says what it leaves open") {
  CHECK(
      exact(R"({"properties": {"a": {"type": "null"}}, "additionalProperties": true})") ==
      R"({"type":"object","additionalProperties":false,"properties":{"a":{"type":"null"}},"required":[]})");
  CHECK(
      exact(R"({"type": "object", "required": ["a"], "additionalProperties": {"type": "null"}})") ==
      R"({"type":"object","additionalProperties":false,"properties":{"a":{"type":"null"}},"required":["a"]})");
  CHECK(exact(R"({"type": ["null", "boolean"]})") ==
        R"({"anyOf":[{"type":"boolean"},{"type":"null"}]})");
  CHECK(
      exact(
          R"({"items": {"type": "null"}, "prefixItems": [{"type": "boolean"}, true], "maxItems": 1})") ==
      R"({"type":"array","items":false,"prefixItems":[{"type":"boolean"}],"minItems":0,"maxItems":1})");
  CHECK(exact("{}") == exact("true"));
}

TEST_CASE("strings of the same lengths are one rule") {
  const Json schema = exact_schema(
      R"({"items": {"maxLength": 200, "minLength": 1}, "prefixItems": [{"minLength": 1, "maxLength": 200}]})");
  CHECK(schema.at("items") == schema.at("prefixItems").as_array()[0]);
  CHECK(schema.at("(shared)").dump() ==
        R"({"text 1 200":{"type":"string","pattern":"^.{1,1}.{0,128}.{0,71}$"}})");
}

TEST_CASE("a schema that cannot be kept to is refused by place and reason") {
  const auto [schema, reason] = GENERATE(table<std::string, std::string>({
      {"{", "json_schema: expected JSON, got an error at byte"},
      {"[]", "#: expected a schema: an object or true"},
      {R"({"properties": {"a": {"pattern": "a"}}})",
       "#/properties/a: keyword 'pattern' is not supported"},
      {R"({"oneOf": [{}]})", "keyword 'oneOf' is not supported; anyOf is"},
      {R"({"not": {}})", "keyword 'not' is not supported"},
      {R"({"type": "text"})", "type: expected null, boolean, integer,"},
      {R"({"type": []})", "type: expected at least one"},
      {R"({"type": 3})", "type: expected null"},
      {R"({"enum": []})", "enum: expected a list of at least one value"},
      {R"({"enum": 1})", "enum: expected a list"},
      {R"({"enum": [1], "const": 1})", "expected const or enum, got both"},
      {R"({"type": "string", "enum": ["a", 1]})", "expected values of the type, got 1"},
      {R"({"const": "\u0001"})", "without control characters"},
      {R"({"properties": {"a\u0000": {}}})", "without control characters"},
      {R"({"minLength": 3, "maxLength": 2})", "minLength: expected at most maxLength"},
      {R"({"maxLength": 100000})", "maxLength: expected a whole number from 0 to 256, got 100000"},
      {R"({"maxLength": -1})", "maxLength: expected a whole number"},
      {R"({"maxLength": "1"})", "maxLength: expected a whole number"},
      {R"({"maxItems": 1e300})", "maxItems: expected a whole number from 0 to 10000"},
      {R"({"minItems": 3, "maxItems": 2})", "minItems: expected at most maxItems"},
      {R"({"prefixItems": [{}], "items": false, "minItems": 2})", "at most the 1 items"},
      {R"({"items": [{}]})", "#/items: expected a schema"},
      {R"({"prefixItems": {}})", "prefixItems: expected a list"},
      {R"({"type": "integer", "minimum": 0.1, "maximum": 0.9})", "no number satisfies its limits"},
      {R"({"minimum": 5, "exclusiveMaximum": 5})", "no number satisfies its limits"},
      {R"({"type": "integer", "minimum": 1e300})", "no number satisfies its limits"},
      {R"({"minimum": 1e-9, "maximum": 2e-9})", "no number satisfies its limits in six decimals"},
      {R"({"minimum": "1"})", "minimum: expected a number"},
      {R"({"anyOf": []})", "anyOf: expected a list of at least one schema"},
      {R"({"anyOf": [false]})", "#/anyOf/0: no text satisfies false"},
      {R"({"anyOf": [{}], "type": "null"})", "anyOf: expected no other keyword beside it"},
      {R"({"allOf": [{}, {}]})", "allOf: expected one schema"},
      {R"({"required": "a"})", "required: expected a list of names"},
      {R"({"required": ["a"], "additionalProperties": false})",
       "required: expected names of properties, got 'a'"},
      {R"({"properties": []})", "properties: expected an object of schemas"},
      {R"({"$ref": 1})", "$ref: expected text"},
      {R"({"$ref": "other.json"})", "$ref: expected '#' or the place of a schema"},
      {R"({"$ref": "#/$defs/a"})", "$ref: expected '#' or the place of a schema"},
      {R"({"$defs": {"a": {}}, "$ref": "#/$defs"})", "$ref: expected '#' or the place of a schema"},
      {R"({"$ref": "#"})", "#: no text satisfies it: it contains itself without end"},
      {R"({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})",
       "#/$defs/a: no text"},
      {R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})", "contains itself without end"},
      {R"({"type": "array", "items": {"$ref": "#"}, "minItems": 1})",
       "contains itself without end"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}]})",
       "contains itself without end"},
  }));
  INFO(schema);
  CHECK_THROWS_MATCHES(exact_schema(schema), Error, IsError(ErrorCode::kInvalidArgument, reason));
}

TEST_CASE("a schema that ends may contain itself") {
  const std::string schema = GENERATE(
      R"({"properties": {"a": {"$ref": "#"}}})",
      R"({"type": ["array", "null"], "items": {"$ref": "#"}, "minItems": 1})",
      R"({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}]})",
      R"({"type": "array", "items": {"$ref": "#"}})");
  INFO(schema);
  CHECK_NOTHROW(exact_schema(schema));
}

TEST_CASE("a schema that is too large is refused") {
  const auto refused = [](const std::string& schema, const std::string& reason) {
    CHECK_THROWS_MATCHES(exact_schema(schema), Error, IsError(ErrorCode::kInvalidArgument, reason));
  };
  refused(std::string(1 << 17, ' ') + "{}", "expected at most 65536 bytes, got 131074");
  refused(nested(100, R"({"items":)", "{}", "}"), "levels of JSON");
  refused(R"({"anyOf": [)" + nested(1200, "{},", "{}", "") + "]}", "at most 500 schemas");
  std::string lengths = "true";
  for (int most = 200; most < 203; ++most) {
    lengths = R"({"maxLength": )" + std::to_string(most) + "}," + lengths;
  }
  refused(R"({"prefixItems": [)" + lengths + "]}", "at most 400 characters together");
}

}  // namespace lv::llm
