// What tests/peers/template_compare.py runs: renders a file of templates for the comparison with
// jinja2. Files come from the environment.

#include <catch2/catch.hpp>
#include <cstdlib>

#include "llm/template/chat_template.h"
#include "pipeline/base/error.h"
#include "tests/llm/template/conversations.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE(value != nullptr);
  return value;
}

}  // namespace

TEST_CASE("chat template: writes what templates render for a comparison", "[.template_peers]") {
  const Json given = read_json_file(variable("LV_TEMPLATES"));
  ChatTemplateOptions options;
  options.variables = given.at("variables");
  options.tools = given.at("tools");
  options.now_seconds = kNow;
  std::vector<Message> messages;
  for (const Json& message : given.at("messages").as_array())
    messages.push_back(message_from(message));
  Json result{Json::Array()};
  for (const Json& source : given.at("templates").as_array()) {
    Json entry;
    try {
      entry.set("text",
                joined(ChatTemplate(source.as_string(), "<s>", "</s>").render(messages, options)));
    } catch (const Error& problem) {
      entry.set("error", problem.what());
    }
    result.push_back(std::move(entry));
  }
  write_file(variable("LV_OUT"), result.dump());
  CHECK(given.at("templates").as_array().size() == result.as_array().size());
}
