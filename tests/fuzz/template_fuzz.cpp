#include <string_view>

#include "llm/template/chat_template.h"
#include "pipeline/base/error.h"

/// A chat template, rendered for a conversation with a picture and a tool.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(bytes), size);
  lv::llm::ChatTemplateOptions options;
  options.tools = lv::parse_json(R"([{"name": "f", "x": [1, 2.5, true, null]}])", "tools");
  options.visual_mark = "<image>";
  options.now_seconds = 0;
  try {
    const lv::llm::ChatTemplate rendered(source, "<s>", "</s>");
    rendered.render({{"system", {"Be\nbrief."}}, {"user", {"What?", lv::CompressedTokens{}}}},
                    options);
  } catch (const lv::Error&) {
  }
  return 0;
}
