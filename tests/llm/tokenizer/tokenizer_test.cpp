#include "llm/tokenizer/tokenizer.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;
using Catch::Matchers::Contains;
using Ids = std::vector<int64_t>;

namespace {

TokenizerPtr load(const std::string& name) {
  return load_tokenizer_json(data("tests/data/tokenizer/" + name + ".json"));
}

Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : list.as_array()) ids.push_back(id.as_int());
  return ids;
}

std::string streamed(const TokenizerPtr& tokenizer, const Ids& ids) {
  StreamDecoder stream(tokenizer, false);
  std::string text;
  for (const int64_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

Ids encode(const TokenizerPtr& tokenizer, std::initializer_list<TextPiece> pieces) {
  return tokenizer->encode(std::span(pieces.begin(), pieces.size()));
}

/// A byte-level tokenizer of three letters and one special token, with something replaced.
Json tiny(const std::string& key = "", const std::string& value = "") {
  Json description = parse_json(R"({
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4},
              "merges": ["a b", "ab c"]},
    "pre_tokenizer": null, "decoder": {"type": "Fuse"},
    "added_tokens": [{"id": 5, "content": "<x>", "special": true}]})",
                                "tiny");
  if (!key.empty()) description.set(key, parse_json(value, key));
  return description;
}

}  // namespace

TEST_CASE("tokenizer: a token's bytes are what it adds to a text", "[tokenizer]") {
  const auto name = GENERATE(as<std::string>(), "byte_level", "byte_fallback", "metaspace");
  const TokenizerPtr tokenizer = load(name);
  for (const char* text : {"Hello, wörld", "a 日本", "x  y"}) {
    std::string together;
    for (const int64_t id : tokenizer->encode(text)) together += tokenizer->bytes(id);
    INFO(name << ": " << together);
    CHECK(together.ends_with(tokenizer->decode(tokenizer->encode(text))));
  }
  CHECK(tokenizer->bytes(tokenizer->id_of("<|im_end|>").value()).empty());
  CHECK(tokenizer->bytes(tokenizer->size()).empty());
}

TEST_CASE("tokenizer: every family gives the reference's ids and texts", "[tokenizer]") {
  const auto name = GENERATE(as<std::string>(), "byte_level", "regex_split", "byte_fallback",
                             "metaspace", "unigram", "added_tokens", "precompiled");
  const TokenizerPtr tokenizer = load(name);
  const Json expected = read_json_file(data("tests/data/tokenizer/" + name + ".expected.json"));
  const auto& texts = expected.at("texts").as_array();
  for (size_t i = 0; i < texts.size(); ++i) {
    INFO(name << ": " << texts[i].dump());
    const Ids ids = tokenizer->encode(texts[i].as_string(), true);
    CHECK(ids == ids_of(expected.at("ids").as_array()[i]));
    CHECK(tokenizer->decode(ids, false) == expected.at("decoded").as_array()[i].as_string());
    CHECK(tokenizer->decode(ids, true) == expected.at("skipped").as_array()[i].as_string());
    CHECK(streamed(tokenizer, ids) == tokenizer->decode(ids, false));
  }
  CHECK(tokenizer->with_ends(tokenizer->encode("a")) == ids_of(expected.at("with_ends")));
}

TEST_CASE("tokenizer: text runs on across the borders of pieces", "[tokenizer]") {
  const TokenizerPtr tokenizer = load("byte_level");
  const std::string text = "<|im_start|>user\nHello wörld it's 12<|im_end|>\n";
  const Ids whole = tokenizer->encode(text, true);
  for (size_t cut = 12; cut < text.size() - 11; ++cut) {
    INFO(cut);
    const std::string_view view = text;
    const size_t end = text.size() - 11;  // the last special token and the line's end
    CHECK(encode(tokenizer, {{view.substr(0, cut), true},
                             {view.substr(cut, end - cut), true},
                             {view.substr(end), true}}) == whole);
  }
  CHECK(encode(tokenizer, {{"<|im_start|>us", true},
                           {"er\nHello w\xC3", false},
                           {"\xB6rld it's 12", false},
                           {"<|im_end|>\n", true}}) == whole);
}

TEST_CASE("tokenizer: user text never becomes a special token", "[tokenizer]") {
  const auto name = GENERATE(as<std::string>(), "byte_level", "byte_fallback", "added_tokens");
  const TokenizerPtr tokenizer = load(name);
  const int64_t start = *tokenizer->id_of("<|im_start|>");
  const auto count = [&](const Ids& ids) { return std::count(ids.begin(), ids.end(), start); };
  CHECK(count(tokenizer->encode("<|im_start|>", true)) == 1);
  CHECK(count(tokenizer->encode("<|im_start|>", false)) == 0);
  CHECK(tokenizer->decode(tokenizer->encode("<|im_start|>", false)).find("im") !=
        std::string::npos);
  for (size_t cut = 1; cut < 12; ++cut) {  // half of the mark by the template, half by the user
    const std::string_view mark = "<|im_start|>";
    INFO(cut);
    CHECK(count(encode(tokenizer, {{mark.substr(0, cut), true}, {mark.substr(cut), false}})) == 0);
    CHECK(count(encode(tokenizer, {{mark.substr(0, cut), false}, {mark.substr(cut), true}})) == 0);
    CHECK(count(encode(tokenizer, {{mark.substr(0, cut), true}, {mark.substr(cut), true}})) == 1);
  }
  CHECK(count(encode(tokenizer, {{"x<|im_", false}, {"<|im_start|>", true}, {"|>", false}})) == 1);
}

TEST_CASE("tokenizer: user text never becomes a special token that is in the vocabulary",
          "[tokenizer]") {
  const std::string added = R"([{"id": 2, "content": "<x>", "special": true}])";
  const auto model = GENERATE(
      as<std::string>(),
      R"({"type": "Unigram", "unk_id": 0, "vocab": [["?", -9], ["a", -1], ["<x>", 0]]})",
      R"({"type": "BPE", "vocab": {"<": 0, "x>": 1, "<x>": 2, "x": 3, ">": 4},
          "merges": ["x >", "< x>"]})",
      R"({"type": "BPE", "ignore_merges": true, "vocab": {"<": 0, "x": 1, "<x>": 2}, "merges": []})");
  Json description = tiny("model", model);
  description.set("added_tokens", parse_json(added, "added"));
  const TokenizerPtr tokenizer = tokenizer_from_json(description);
  INFO(model);
  CHECK(tokenizer->encode("<x>", true) == Ids{2});
  const Ids ids = tokenizer->encode("<x>", false);
  CHECK(std::count(ids.begin(), ids.end(), 2) == 0);
}

TEST_CASE("tokenizer: text that is normalised keeps track of who wrote it", "[tokenizer]") {
  const TokenizerPtr tokenizer = load("added_tokens");  // "</s>" is matched after normalisation
  const int64_t end = *tokenizer->id_of("</s>");
  const auto found = [&](const Ids& ids) { return std::count(ids.begin(), ids.end(), end); };
  CHECK(found(encode(tokenizer, {{"\u00C4\u00C4", false}, {"</S>", true}, {"e\u0301", false}})) ==
        1);
  CHECK(found(encode(tokenizer, {{"\u00C4\u00C4</s>", false}, {"e", true}})) == 0);
  CHECK(found(encode(tokenizer, {{"a<", true}, {"/S", false}, {">", true}})) == 0);
}

TEST_CASE("tokenizer: a long run of one letter takes no quadratic time", "[tokenizer]") {
  const auto name = GENERATE(as<std::string>(), "byte_level", "byte_fallback", "unigram");
  const TokenizerPtr tokenizer = load(name);
  const Ids ids = tokenizer->encode(std::string(200000, 'a'));
  CHECK(tokenizer->decode(ids) == std::string(200000, 'a'));
}

TEST_CASE("tokenizer: bytes that are no UTF-8 are read as U+FFFD", "[tokenizer]") {
  const TokenizerPtr tokenizer = load("byte_level");
  CHECK(tokenizer->decode(tokenizer->encode("a\xFF\xC3(\xE2\x82")) == "a\uFFFD\uFFFD(\uFFFD");
}

TEST_CASE("tokenizer: a stream never ends within a character", "[tokenizer]") {
  const auto name = GENERATE(as<std::string>(), "byte_level", "byte_fallback");
  const TokenizerPtr tokenizer = load(name);
  StreamDecoder stream(tokenizer, false);
  const Ids ids = tokenizer->encode("\U0001F996");  // four bytes
  REQUIRE(ids.size() >= 3);
  std::string text;
  for (size_t i = 0; i + 1 < ids.size(); ++i) text += stream.push(ids[i]);
  CHECK(text.empty());
  CHECK(stream.push(ids.back()) == "\U0001F996");
  CHECK(stream.finish().empty());
  for (size_t i = 0; i + 1 < ids.size(); ++i) CHECK(stream.push(ids[i]).empty());
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish().empty());
  CHECK(stream.push(1 << 30).empty());  // no such token
}

TEST_CASE("tokenizer: tokens by id and by name", "[tokenizer]") {
  const TokenizerPtr tokenizer = tokenizer_from_json(tiny());
  CHECK(tokenizer->size() == 6);
  CHECK(tokenizer->id_of("<x>") == 5);
  CHECK(tokenizer->id_of("abc") == 4);
  CHECK(tokenizer->id_of("d") == std::nullopt);
  CHECK(tokenizer->token(3) == "ab");
  CHECK(tokenizer->is_special(5));
  CHECK_FALSE(tokenizer->is_special(4));
  CHECK(tokenizer->encode("abcab<x>c", true) == Ids{4, 3, 5, 2});
  CHECK(tokenizer->encode("d").empty());  // dropped: there is no unknown token
  CHECK(tokenizer->decode(Ids{4, 5, 77, -1, 3}) == "abcab");
  CHECK_THROWS_WITH(tokenizer->token(6), Contains("expected one of 6, got 6"));
}

TEST_CASE("tokenizer: merges may be pairs", "[tokenizer]") {
  const TokenizerPtr tokenizer = tokenizer_from_json(tiny(
      "model", R"({"type": "BPE", "vocab": {"a": 0, " ": 1, "a ": 2}, "merges": [["a", " "]]})"));
  CHECK(tokenizer->encode("a a") == Ids{2, 0});
}

TEST_CASE("tokenizer: a wrong description is refused by the part that is wrong", "[tokenizer]") {
  const auto [key, value, text] = GENERATE(table<std::string, std::string, std::string>({
      {"model", "{}", "model: expected BPE or Unigram, got ''"},
      {"model", R"({"type": "WordPiece"})", "got 'WordPiece'"},
      {"model", R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})", "got -1"},
      {"model", R"({"type": "BPE", "vocab": {"a": 99999999999}, "merges": []})", "got 99999999999"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})", "is there twice"},
      {"model", R"({"type": "BPE", "vocab": {"a": "x"}, "merges": []})", "a whole number"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]})",
       "merges[0]: 'ab' is not in the vocabulary"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["ab"]})", "expected 'left right'"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]})", "expected pairs"},
      {"model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "?"})",
       "unk_token: '?' is not in the vocabulary"},
      {"model", R"({"type": "Unigram", "vocab": []})", "at least one token"},
      {"model", R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1})",
       "unk_id: expected less"},
      {"model", R"({"type": "Unigram", "vocab": [["a"]]})", "expected [token, score]"},
      {"normalizer", R"({"type": "Bert"})", "normalizer: expected Sequence"},
      {"normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "!"})", "expected base64"},
      {"normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "AAAA"})", "at least 4"},
      {"normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "/////w=="})",
       "an array of at most 0 bytes, got one of 4294967295"},
      {"normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAD/"})",
       "replacements in UTF-8"},
      {"normalizer", R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
       "missing closing parenthesis"},
      {"normalizer", R"({"type": "Replace", "pattern": {"Regex": "[a[b]]"}, "content": ""})",
       "a set inside of a set"},
      {"normalizer", R"({"type": "Replace", "pattern": 3, "content": ""})", "pattern: expected"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Gone"})",
       "got 'Gone'"},
      {"pre_tokenizer", R"({"type": "BertPreTokenizer"})", "got 'BertPreTokenizer'"},
      {"decoder", R"({"type": "WordPiece"})", "decoder: decoder: expected"},
      {"decoder", R"({"type": "Strip", "content": ""})", "expected a content"},
      {"post_processor",
       R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}],
        "special_tokens": {}})",
       "expected a member '<s>'"},
      {"added_tokens", R"([{"id": -4, "content": "x"}])", "got -4"},
      {"added_tokens", R"([{"content": "x"}])", "'id'"},
  }));
  INFO(key << " " << value);
  CHECK_THROWS_WITH(tokenizer_from_json(tiny(key, value)), Contains(text));
}

TEST_CASE("tokenizer: a hostile regular expression is stopped", "[tokenizer]") {
  const TokenizerPtr tokenizer = tokenizer_from_json(
      tiny("pre_tokenizer",
           R"({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"})"));
  CHECK_THROWS_WITH(tokenizer->encode(std::string(40, 'a') + "b"),
                    Contains("regular expression: match limit exceeded"));
}

TEST_CASE("tokenizer: a file that is not there, or no JSON, is named", "[tokenizer]") {
  CHECK_THROWS_WITH(load_tokenizer_json("/nowhere/tokenizer.json"),
                    Contains("/nowhere/tokenizer.json: cannot be opened"));
  TemporaryFolder folder;
  write_file(folder / "t.json", "[1]");
  CHECK_THROWS_WITH(load_tokenizer_json(folder / "t.json"),
                    Contains("t.json: tokenizer: expected an object"));
}
