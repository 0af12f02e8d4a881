#include <string_view>

#include "llm/template/chat_template.h"
#include "pipeline/base/error.h"

/// A chat template, rendered for a conversation with a picture and a tool that is called.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(bytes), size);
  lv::llm::ChatTemplateOptions options;
  options.tools = lv::parse_json(R"([{"name": "f", "x": [1, 2.5, true, null]}])", "tools");
  options.visual_mark = "<image>";
  options.now_seconds = 0;
  try {
    const lv::llm::ChatTemplate rendered(source, "<s>", "</s>");
    const lv::Json::Object arguments{{"city", "Z\xC3\xBCrich"}, {"days", 2}};
    rendered.render({{"system", {"Be\nbrief."}},
                     {"user", {"What?", lv::CompressedTokens{}}},
                     {"assistant", {}, {{"1", "f", arguments}}},
                     {"tool", {"21"}, {}, "1", "f"}},
                    options);
  } catch (const lv::Error&) {
  }
  return 0;
}
