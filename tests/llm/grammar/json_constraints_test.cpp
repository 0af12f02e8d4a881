#include "llm/grammar/json_constraints.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "llm/engine/sampler.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::llm {
namespace {

TokenizerPtr fixture(const std::string& name) {
  const std::string path = data("tests/data/tokenizer/" + name);
  if (name.ends_with(".json")) return load_tokenizer_json(path);
  std::ifstream file(path, std::ios::binary);
  return tokenizer_from_sentence_piece(std::string(std::istreambuf_iterator<char>(file), {}));
}

/// For a model with one more token than the tokenizer, which ends an answer.
JsonConstraints constraints_of(const TokenizerPtr& tokenizer) {
  return {tokenizer, tokenizer->size() + 1, {tokenizer->size()}};
}

/// Whether `value` obeys the parts of JSON Schema that the tests use.
bool obeys(const Json& value, const Json& schema, const Json& root) {
  const auto all = [&](const Json::Array& values, const Json& each) {
    return std::ranges::all_of(values, [&](const Json& v) { return obeys(v, each, root); });
  };
  if (const Json* target = schema.find("$ref")) {
    return obeys(value, target->as_string() == "#" ? root : root.at("$defs").at("node"), root);
  }
  if (const Json* options = schema.find("anyOf")) {
    return std::ranges::any_of(options->as_array(),
                               [&](const Json& option) { return obeys(value, option, root); });
  }
  if (const Json* values = schema.find("enum")) {
    return std::ranges::count(values->as_array(), value) > 0;
  }
  const std::string type = schema.get("type", "");
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "integer" || type == "number") {
    return (type == "integer" ? value.is_int() : value.is_number()) &&
           value.as_double() >= schema.get("minimum", -1e300) &&
           value.as_double() <= schema.get("maximum", 1e300);
  }
  if (type == "string") {
    if (!value.is_string()) return false;
    const int64_t length = std::ranges::count_if(
        value.as_string(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    return length >= schema.get("minLength", 0) && length <= schema.get("maxLength", 1 << 20);
  }
  if (type == "array") {
    if (!value.is_array()) return false;
    const auto count = static_cast<int64_t>(value.as_array().size());
    return count >= schema.get("minItems", 0) && count <= schema.get("maxItems", 1 << 20) &&
           all(value.as_array(), schema.at("items"));
  }
  if (type == "object") {
    if (!value.is_object()) return false;
    for (const auto& [name, member] : value.as_object()) {
      const Json* property = schema.at("properties").find(name);
      if (property == nullptr || !obeys(member, *property, root)) return false;
    }
    return std::ranges::all_of(schema.at("required").as_array(), [&](const Json& name) {
      return value.find(name.as_string()) != nullptr;
    });
  }
  return true;  // any JSON
}

/// What a model that knows nothing but where texts might end says under `constraint`; nullopt if it
/// does not end in 400 tokens.
std::optional<std::string> drawn(const Tokenizer& tokenizer,
                                 std::shared_ptr<TokenConstraint> constraint, uint64_t seed) {
  const int64_t vocabulary = tokenizer.size() + 1;
  at::Tensor logits = at::zeros({vocabulary});
  for (int64_t id = 0; id < tokenizer.size(); ++id) {
    const std::string text = tokenizer.bytes(id);
    if (text == "\"" || text == "}" || text == "]" || text == "\\") logits[id] = 4;
  }
  logits[vocabulary - 1] = 4;
  GenerationOptions options;
  options.temperature = 1;
  options.seed = seed;
  Sampler sampler(options, vocabulary, std::move(constraint));
  std::string text;
  for (int i = 0; i < 400; ++i) {
    const int64_t id = sampler.next(logits);
    if (id == vocabulary - 1) return text;
    text += tokenizer.bytes(id);
  }
  return std::nullopt;
}

const std::vector<std::string> kSchemas{
    "{}",
    R"({"type": "string"})",
    R"({"type": "string", "minLength": 2, "maxLength": 5})",
    R"({"type": "number", "minimum": -2.5, "maximum": 3.75})",
    R"({"type": "integer", "minimum": -3, "maximum": 117})",
    R"({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "minItems": 2, "maxItems": 4})",
    R"({"enum": ["a", "b\"\\\n/", "é", 1, -2.5, null, true, [1, 2], {"x": 1}]})",
    R"({"type": "object", "properties": {"level": {"enum": ["low", "high"]}, "\"é\n": {"type": "number"},
        "why": {"type": "string", "maxLength": 12}}, "required": ["level", "why"]})",
    R"({"$defs": {"node": {"type": "object", "properties": {"v": {"type": "null"}, "next": {"anyOf":
        [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["v", "next"]}}, "$ref": "#/$defs/node"})",
};

}  // namespace

TEST_CASE("whatever a model says under a schema is JSON that obeys it") {
  const TokenizerPtr tokenizer = fixture(GENERATE("byte_level.json", "sentence_bpe.model"));
  const JsonConstraints json = constraints_of(tokenizer);
  for (const std::string& text : kSchemas) {
    const Json schema = parse_json(text, "schema");
    std::set<std::string> answers;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const auto answer = drawn(*tokenizer, json.make(text), seed);
      if (!answer) continue;
      INFO(text << "\n" << *answer);
      CHECK(obeys(parse_json(*answer, "answer"), schema, schema));
      answers.insert(*answer);
    }
    INFO(text);
    CHECK(answers.size() > 2);
  }
}

TEST_CASE("a token is allowed if some text of the grammar goes on with it, and no other") {
  const TokenizerPtr tokenizer = tokenizer_from_json(parse_json(
      R"({"model": {"type": "BPE", "merges": [], "vocab": {"\"": 0, "a": 1, "b": 2, "1": 3, "2": 4, "ab": 5,
          "\"a": 6, "[": 7, "]": 8, ",": 9, "Ġ": 10, ",Ġ": 11, "[1": 12, "x": 13, "12": 14, "-": 15, "1,Ġ": 16,
          "0": 17, "b\"": 18, "\"ab\"": 19, "{": 20}}, "decoder": {"type": "ByteLevel"}})",
      "tokenizer"));
  const auto [schema, texts] = GENERATE(table<std::string, std::set<std::string>>(
      {{R"({"enum": ["ab", "a", 1, 12]})", {"\"ab\"", "\"a\"", "1", "12"}},
       {R"({"type": "integer", "minimum": -2, "maximum": 12})",
        {"-2", "-1", "0", "1", "2", "10", "11", "12"}},  // of the digits that there are
       {R"({"type": "array", "items": {"const": 1}, "maxItems": 3})",
        {"[]", "[1]", "[1, 1]", "[1, 1, 1]"}},
       {R"({"anyOf": [{"const": "b"}, {"prefixItems": [{"const": 2}, {"const": "a"}], "items": false}]})",
        {"\"b\"", "[]", "[2]", "[2, \"a\"]"}}}));
  const JsonConstraints json = constraints_of(tokenizer);
  const int64_t stop = tokenizer->size();
  std::vector<std::vector<int64_t>> open{{}};
  std::set<std::string> reached;
  while (!open.empty()) {
    const std::vector<int64_t> ids = std::move(open.back());
    open.pop_back();
    const auto constraint = json.make(schema);
    std::string text;
    for (const int64_t id : ids) {
      constraint->accept(id);
      text += tokenizer->bytes(id);
    }
    std::vector<float> scores(static_cast<size_t>(stop + 1), 0);
    constraint->mask(scores);
    for (int64_t id = 0; id <= stop; ++id) {
      const std::string next = text + tokenizer->bytes(id);
      const bool expected =
          id == stop
              ? texts.contains(text)
              : std::ranges::any_of(texts, [&](const auto& t) { return t.starts_with(next); });
      INFO(schema << " behind " << text << ": " << (id == stop ? "end" : tokenizer->bytes(id)));
      CHECK((scores[static_cast<size_t>(id)] == 0) == expected);
      if (!expected || id == stop) continue;
      open.push_back(ids);
      open.back().push_back(id);
    }
    if (texts.contains(text)) reached.insert(text);
  }
  CHECK(reached == texts);
}

TEST_CASE("an answer holds no half escapes and no line ends, and ends once") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  const JsonConstraints json = constraints_of(tokenizer);
  const auto allowed = [&](const std::string& begun) {
    const auto constraint = json.make(R"({"type": "string"})");
    for (const char c : begun) {
      int64_t id = 0;
      while (tokenizer->bytes(id) != std::string(1, c)) ++id;
      constraint->accept(id);
    }
    std::vector<float> scores(static_cast<size_t>(tokenizer->size() + 1), 0);
    constraint->mask(scores);
    std::set<std::string> texts;
    for (int64_t id = 0; id <= tokenizer->size(); ++id) {
      if (scores[static_cast<size_t>(id)] == 0) {
        texts.insert(id == tokenizer->size() ? "end" : tokenizer->bytes(id));
      }
    }
    return texts;
  };
  CHECK(allowed("\"a\\").contains("n"));
  CHECK_FALSE(allowed("\"a\\").contains("u"));
  CHECK(allowed("\"a\\\\").contains("u"));
  CHECK(allowed("\"a\xED").contains("\x80"));
  CHECK_FALSE(allowed("\"a\xED").contains("\xA0"));
  CHECK_FALSE(allowed("\"a\xF0").contains("\x80"));
  CHECK_FALSE(allowed("\"a").contains("\xF5"));
  CHECK_FALSE(allowed("\"a").contains("\n"));
  CHECK_FALSE(allowed("\"a").contains("end"));
  CHECK(allowed("\"a\"") == std::set<std::string>{"end"});
}

TEST_CASE("a constraint refuses what it did not allow") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  const auto constraint = constraints_of(tokenizer).make(R"({"type": "null"})");
  std::vector<float> few(3);
  CHECK_THROWS_MATCHES(constraint->mask(few), Error,
                       IsError(ErrorCode::kInternal, "scores: expected"));
  CHECK_THROWS_MATCHES(constraint->accept(tokenizer->id_of("{").value()), Error,
                       IsError(ErrorCode::kInternal, "a token that it allows"));
}

TEST_CASE("constraints need a token that ends an answer") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  CHECK_THROWS_MATCHES(JsonConstraints(tokenizer, tokenizer->size(), {}).make("{}"), Error,
                       IsError(ErrorCode::kFailedPrecondition, "a token that ends an answer"));
}

TEST_CASE("answers obey a grammar, and what is none is refused") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  const JsonConstraints constraints = constraints_of(tokenizer);
  const std::string grammar =
      "root ::= \"level: low; why: \" text | \"level: high; why: \" text\n"
      "text ::= [a-z] [a-z ]{0,9}\n";
  std::set<char> levels;
  for (int seed = 0; seed < 20; ++seed) {
    const std::string answer =
        drawn(*tokenizer, constraints.of_grammar(grammar), seed).value_or("");
    const std::string why = answer.substr(std::min(answer.find("why: ") + 5, answer.size()));
    const bool low = answer.starts_with("level: low; why: ");
    CHECK((low || answer.starts_with("level: high; why: ")));
    CHECK((!why.empty() && why.size() <= 10 &&
           why.find_first_not_of("abcdefghijklmnopqrstuvwxyz ") == std::string::npos));
    levels.insert(low ? 'l' : 'h');
  }
  CHECK(levels.size() == 2);
  CHECK_THROWS_MATCHES(constraints.of_grammar("root ::= nothing"), Error,
                       IsError(ErrorCode::kInvalidArgument, "grammar: "));
  CHECK(drawn(*tokenizer, constraints.make(R"({"type": "null"})"), 1) == "null");
}

TEST_CASE("a compiled schema is remembered, and a failed one harms no other") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  const JsonConstraints json = constraints_of(tokenizer);
  const std::string schema = R"({"minLength": 1, "maxLength": 250})";
  const auto seconds = [&] {
    const auto start = std::chrono::steady_clock::now();
    json.make(schema);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double first = seconds();
  const double again = std::min(seconds(), seconds());
  CHECK(again < first / 3);
  // A place inside a list is a schema that the compiler does not find.
  CHECK_THROWS_MATCHES(json.make(R"({"anyOf": [{"type": "null"}, {"$ref": "#/anyOf/0"}]})"), Error,
                       IsError(ErrorCode::kInvalidArgument, "json_schema: Cannot find field 0"));
  CHECK(drawn(*tokenizer, json.make(R"({"type": "null"})"), 1) == "null");
}

TEST_CASE("constraints are made on several threads at a time") {
  const TokenizerPtr tokenizer = fixture("byte_level.json");
  const JsonConstraints json = constraints_of(tokenizer);
  std::vector<std::string> answers(4);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < answers.size(); ++i) {
      threads.emplace_back([&, i] {
        const auto constraint = json.make(R"({"const": "number )" + std::to_string(i % 2) + "\"}");
        answers[i] = drawn(*tokenizer, constraint, i).value_or("");
      });
    }
  }
  CHECK(answers ==
        std::vector<std::string>{"\"number 0\"", "\"number 1\"", "\"number 0\"", "\"number 1\""});
}

}  // namespace lv::llm
