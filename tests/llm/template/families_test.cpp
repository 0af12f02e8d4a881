#include <catch2/catch.hpp>

#include "llm/template/chat_template.h"
#include "pipeline/base/error.h"
#include "tests/llm/template/conversations.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;

namespace {

const std::string kFolder = "tests/data/template/families/";

ChatTemplateOptions options_of(const Json& item, const Json& tools) {
  ChatTemplateOptions options;
  options.add_generation_prompt = item.at("add").as_bool();
  if (item.at("tools").as_bool()) options.tools = tools;
  options.variables = item.at("variables");
  options.now_seconds = kNow;
  return options;
}

/// What one case renders. Conversations that a Prompt cannot hold come as the variable `chat`.
std::string rendered(const Json& item, const Json& goldens) {
  std::string source = read_file(data(kFolder + item.at("source").as_string() + ".jinja"));
  const Json& chat = goldens.at("chats").as_array()[static_cast<size_t>(item.at("chat").as_int())];
  ChatTemplateOptions options = options_of(item, goldens.at("tools"));
  std::vector<Message> messages;
  if (item.at("whole").as_bool()) {
    source = "{%- set messages = chat -%}" + source;
    options.variables.set("chat", chat);
  } else {
    for (const Json& message : chat.as_array()) messages.push_back(message_from(message));
  }
  return joined(ChatTemplate(source, "<s>", "</s>").render(messages, options));
}

}  // namespace

TEST_CASE("chat template: families render as jinja2 renders them", "[template]") {
  const Json goldens = read_json_file(data("tests/data/template/families.json"));
  for (const Json& item : goldens.at("cases").as_array()) {
    Json name = item;
    name.set("text", nullptr);
    INFO(name.dump());
    if (const Json* expected = item.find("text")) {
      std::string got;
      CHECK_NOTHROW(got = rendered(item, goldens));
      CHECK(got == expected->as_string());
    } else {
      const bool raised = item.at("error").as_string() == "TemplateError";
      CHECK_THROWS_WITH(rendered(item, goldens),
                        Catch::Matchers::Contains(raised ? item.at("message").as_string() : ""));
    }
  }
}
