#include <string_view>

#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"

/// A tokenizer.model, and a text that shows characters of each length, spaces and marks.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view model(reinterpret_cast<const char*>(bytes), size);
  try {
    const auto tokenizer = lv::llm::tokenizer_from_sentence_piece(model);
    const lv::llm::TextPiece pieces[] = {
        {"<s>  na\xC3\xAFve e\xCC\x81 \xEF\xAC\x81", true},
        {"</s> \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x9A\x97\n", false}};
    const auto ids = tokenizer->with_ends(tokenizer->encode(pieces));
    tokenizer->decode(ids);
    lv::llm::StreamDecoder stream(tokenizer);
    for (const int64_t id : ids) stream.push(id);
    stream.finish();
  } catch (const lv::Error&) {
  }
  return 0;
}
