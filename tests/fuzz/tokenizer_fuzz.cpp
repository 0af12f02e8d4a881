#include <algorithm>
#include <string_view>

#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"

/// A tokenizer.json, and behind a zero byte the text that it reads.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(bytes), size);
  const size_t zero = std::min(all.find('\0'), size);
  const std::string_view text = all.substr(std::min(zero + 1, size));
  try {
    const auto tokenizer =
        lv::llm::tokenizer_from_json(lv::parse_json(all.substr(0, zero), "tokenizer.json"));
    const lv::llm::TextPiece pieces[] = {{text, true}, {text, false}};
    const auto ids = tokenizer->with_ends(tokenizer->encode(pieces));
    tokenizer->decode(ids);
    lv::llm::StreamDecoder stream(tokenizer);
    for (const int64_t id : ids) stream.push(id);
    stream.finish();
  } catch (const lv::Error&) {
  }
  return 0;
}
