// What tests/peers/tokenizer_fuzz_compare.py runs: tokenises a file of texts for the comparison
// with the tokenizers and sentencepiece packages. Folders and files come from the environment.

#include <catch2/catch.hpp>
#include <cstdlib>

#include "llm/tokenizer/tokenizer.h"
#include "pipeline/weights/gguf.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE(value != nullptr);
  return value;
}

TokenizerPtr tokenizer_at(const std::string& path) {
  if (path.ends_with(".gguf")) return tokenizer_from_gguf(open_gguf(path).metadata);
  if (path.ends_with(".model")) return tokenizer_from_sentence_piece(read_file(path));
  return load_tokenizer_json(path);
}

}  // namespace

TEST_CASE("tokenizer: writes ids and decoded texts for a comparison", "[.peers]") {
  const std::string path = variable("LV_TOKENIZER");
  const TokenizerPtr tokenizer = tokenizer_at(path);
  const bool special_allowed = !path.ends_with(".model");  // which knows no marks within text
  const Json texts = read_json_file(variable("LV_TEXTS"));
  Json result;
  for (const Json& text : texts.as_array()) {
    const auto ids = tokenizer->encode(text.as_string(), special_allowed);
    Json entry, id_list{Json::Array()};
    for (const int64_t id : ids) id_list.push_back(id);
    StreamDecoder stream(tokenizer, false);
    std::string streamed;
    for (const int64_t id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    entry.set("ids", std::move(id_list));
    entry.set("decoded", tokenizer->decode(ids, false));
    entry.set("streamed", streamed);
    result.push_back(std::move(entry));
  }
  write_file(variable("LV_OUT"), result.dump());
  CHECK(texts.as_array().size() == result.as_array().size());
}
