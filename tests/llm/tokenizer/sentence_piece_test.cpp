#include "llm/tokenizer/sentence_piece.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;
using Catch::Matchers::Contains;
using Ids = std::vector<int64_t>;

namespace {

std::string bytes_of(const std::string& name) {
  return read_file(data("tests/data/tokenizer/" + name + ".model"));
}

Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : list.as_array()) ids.push_back(id.as_int());
  return ids;
}

/// A length-delimited field of a message.
std::string field(int number, const std::string& bytes) {
  REQUIRE(bytes.size() < 128);
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

std::string number_field(int number, int value) {
  std::string bytes;
  for (int key = number << 3; key > 0; key >>= 7)
    bytes += static_cast<char>((key & 0x7F) | (key > 0x7F ? 0x80 : 0));
  return bytes + static_cast<char>(value);
}

std::string piece(const std::string& text, int type = 1) {
  return field(1, field(1, text) + number_field(3, type));
}

}  // namespace

TEST_CASE("sentence piece: gives the reference's ids and texts", "[tokenizer]") {
  const auto name =
      GENERATE(as<std::string>(), "sentence_bpe", "sentence_unigram", "sentence_plain");
  const TokenizerPtr tokenizer = tokenizer_from_sentence_piece(bytes_of(name));
  const Json expected = read_json_file(data("tests/data/tokenizer/" + name + ".expected.json"));
  const auto& texts = expected.at("texts").as_array();
  for (size_t i = 0; i < texts.size(); ++i) {
    INFO(name << ": " << texts[i].dump());
    const Ids ids = tokenizer->encode(texts[i].as_string());
    CHECK(ids == ids_of(expected.at("ids").as_array()[i]));
    const Json& decoded = expected.at("decoded").as_array()[i];
    const std::string text = tokenizer->decode(ids, false);
    if (decoded.is_string() && !text.starts_with(' ')) CHECK(text == decoded.as_string());
    StreamDecoder stream(tokenizer, false);
    std::string streamed;
    for (const int64_t id : ids) streamed += stream.push(id);
    CHECK(streamed + stream.finish() == text);
  }
}

TEST_CASE("sentence piece: its control pieces are special tokens, where they are allowed",
          "[tokenizer]") {
  const TokenizerPtr tokenizer = tokenizer_from_sentence_piece(bytes_of("sentence_bpe"));
  REQUIRE(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->stop_ids() == Ids{2});
  CHECK(tokenizer->encode("<s></s>", true) == Ids{1, 2});
  for (const int64_t id : tokenizer->encode("<s></s><unk><0x41>", false)) CHECK(id > 2);
  CHECK_FALSE(tokenizer_from_sentence_piece(bytes_of("sentence_plain"))->bos().has_value());
}

TEST_CASE("sentence piece: a folder with tokenizer.model alone has a tokenizer", "[tokenizer]") {
  const TemporaryFolder folder;
  write_file(folder / "tokenizer.model", bytes_of("sentence_bpe"));
  write_file(folder / "added_tokens.json", R"({"<image>": 400})");
  write_file(folder / "config.json", "{}");
  write_file(folder / "model.safetensors", read_file(data("tests/data/weights/types.safetensors")));
  const auto loaded = [&](const std::string& config) {
    write_file(folder / "tokenizer_config.json", config);
    return load_tokenizer(open_checkpoint(folder.path()));
  };
  const TokenizerPtr tokenizer = loaded(R"({"added_tokens_decoder": {"401": {"content": "<x>"}}})");
  CHECK(tokenizer->size() == 402);
  CHECK(tokenizer->with_ends({7}) == Ids{1, 7});
  CHECK(tokenizer->encode("<image><x>", true) == Ids{400, 401});
  CHECK(tokenizer->decode(tokenizer->encode("one <image>two", true), false) == "one <image> two");
  const TokenizerPtr once = loaded(R"({"legacy": false, "add_eos_token": true})");
  CHECK(once->decode(once->encode("one <image>two", true), false) == "one <image>two");
  CHECK(once->with_ends({7}) == Ids{1, 7, 2});
  CHECK_THROWS_WITH(loaded(R"({"added_tokens_decoder": {"4x": {"content": "<x>"}}})"),
                    Contains("expected ids as keys, got '4x'"));
}

TEST_CASE("sentence piece: a truncated or contradictory file is refused", "[tokenizer]") {
  const std::string whole = bytes_of("sentence_unigram");
  for (size_t size = 0; size < whole.size(); size += 7) {
    INFO(size);
    try {
      tokenizer_from_sentence_piece(whole.substr(0, size))->encode("Hello wörld");
    } catch (const Error& problem) {  // cut between two pieces it is a smaller model
      CHECK(problem.code() == ErrorCode::kInvalidArgument);
    }
  }
  const auto [bytes, text] = GENERATE(table<std::string, std::string>({
      {"", "pieces: expected some, got none"},
      {"\x0B", "a field of a known type"},
      {"\x0A\x7F", "a field of 127 bytes, but only 0 are left"},
      {"\x08\x01", "expected a message, got a number"},
      {std::string(10, '\xFF'), "a number of more than 64 bits"},
      {piece(""), "pieces[0]: expected text in UTF-8"},
      {piece("\xFF"), "pieces[0]: expected text in UTF-8"},
      {piece("a", 9), "pieces[0]: expected a type from 1 to 6"},
      {piece("a") + piece("a") + piece("b"), "'a' (id 1) is there twice"},
      {piece("a"), "ids: expected less than 1, got 1"},
      {piece("a") + field(2, number_field(3, 4)), "model_type: expected 1 (unigram) or 2 (BPE)"},
      {piece("a") + piece("b") + piece("c") + field(3, field(2, "abcde")),
       "charsmap: expected an array"},
  }));
  CHECK_THROWS_WITH(tokenizer_from_sentence_piece(bytes), Contains(text));
}
