#include "llm/template/chat_template.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/weights/gguf.h"
#include "tests/llm/template/conversations.h"
#include "tests/support/close_to.h"

using namespace lv;
using namespace lv::llm;
using Catch::Matchers::Contains;

namespace {

std::string user_text(const std::vector<TemplatePiece>& pieces) {
  std::string text;
  for (const TemplatePiece& piece : pieces) {
    if (piece.from_user) text += piece.text;
  }
  return text;
}

std::vector<TemplatePiece> render(const std::string& source, const std::vector<Message>& messages,
                                  const ChatTemplateOptions& options = {}) {
  return ChatTemplate(source, "<s>", "</s>").render(messages, options);
}

const CompressedTokens kPicture;

}  // namespace

TEST_CASE("chat template: renders what jinja2 renders", "[template]") {
  const Json goldens = read_json_file(data("tests/data/template/goldens.json"));
  for (const Json& item : goldens.at("cases").as_array()) {
    const std::string& name = item.at("source").as_string();
    const Json* source = goldens.at("sources").find(name);
    INFO(name << " chat " << item.at("chat").as_int());
    std::vector<Message> messages;
    const auto chat = static_cast<size_t>(item.at("chat").as_int());
    for (const Json& message : goldens.at("chats").as_array()[chat].as_array())
      messages.push_back(message_from(message));
    ChatTemplateOptions options;
    options.add_generation_prompt = item.at("add").as_bool();
    if (item.at("tools").as_bool()) options.tools = goldens.at("tools");
    options.variables = item.at("variables");
    options.now_seconds = kNow;
    const std::string& text = source != nullptr ? source->as_string() : name;
    if (const Json* expected = item.find("text")) {
      std::string got;
      CHECK_NOTHROW(got = joined(render(text, messages, options)));
      CHECK(got == expected->as_string());
    } else {
      CHECK_THROWS_AS(render(text, messages, options), Error);
    }
  }
}

TEST_CASE("chat template: SmolLM2's own gives ChatML", "[template]") {
  const GgufFile file =
      open_gguf(data(".deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"));
  const std::string source = file.metadata.at("tokenizer.chat_template").as_string();
  CHECK(joined(render(source, {{"user", {"Hi"}}, {"assistant", {"Yes?"}}, {"user", {"Bye"}}})) ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("chat template: what the user wrote is marked, through filters and slices",
          "[template]") {
  const std::vector<Message> chat{{"user", {" <b>secret</b> "}}};
  const auto marked = [&](const std::string& expression) {
    return user_text(render("<x>{{ " + expression + " }}<y>", chat));
  };
  CHECK(marked("messages[0].content") == " <b>secret</b> ");
  CHECK(marked("messages[0].content | trim") == "<b>secret</b>");
  CHECK(marked("(messages[0].content | trim)[3:-4]") == "secret");
  CHECK(marked("messages[0].content.split('>')[1].replace('s', 'z')") == "ecret</b");
  CHECK(marked("'a' + messages[0].content.strip().upper() ~ 'b'") == "<B>SECRET</B>");
  CHECK(marked("[messages[0].content | trim, 'x'] | join('-')") == "<b>secret</b>");
  CHECK(marked("messages[0].content | trim | tojson") == "<b>secret</b>");
  CHECK(marked("[messages[0].content | trim]") == "<b>secret</b>");
  CHECK(marked("messages[0].role") == "user");
  CHECK(marked("messages | length").empty());
  CHECK(user_text(render("{% set t %}<{{ messages[0].content }}>{% endset %}{{ t | upper }}",
                         chat)) == " <B>SECRET</B> ");
  CHECK(user_text(render("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(messages[0].content) }}",
                         chat)) == " <b>secret</b> ");
  ChatTemplateOptions options;
  options.tools = parse_json(R"([{"name": "<|im_end|>"}])", "tools");
  CHECK(user_text(render("{{ tools | tojson }}", chat, options)) == "name<|im_end|>");
}

TEST_CASE("chat template: calls of tools are the user's text, and are there only if made",
          "[template]") {
  const Json arguments = parse_json(R"({"<|a|>": ["<|im_end|>", {"n": 2.5}]})", "arguments");
  const std::vector<Message> chat{
      {"user", {"now?"}},
      {"assistant", {}, {{"c<|1|>", "clock<|x|>", arguments}, {"", "other", Json::Object()}}},
      {"tool", {"</tool>"}, {}, "c<|1|>", "clock"}};
  const auto marked = [&](const std::string& expression) {
    return user_text(render("<x>{{ " + expression + " }}<y>", chat));
  };
  const auto all = [&](const std::string& expression) {
    return joined(render("{{ " + expression + " }}", chat));
  };
  CHECK(marked("messages[1].tool_calls[0].function.name") == "clock<|x|>");
  CHECK(marked("messages[1].tool_calls[0].function.arguments | tojson") == "<|a|><|im_end|>n");
  CHECK(marked("messages[1].tool_calls[0].id") == "c<|1|>");
  CHECK(marked("messages[2].tool_call_id ~ messages[2].name ~ messages[2].content") ==
        "c<|1|>clock</tool>");
  CHECK(all("messages[1].tool_calls | tojson") ==
        R"([{"type": "function", "id": "c<|1|>", "function": {"name": "clock<|x|>", "arguments": )"
        R"({"<|a|>": ["<|im_end|>", {"n": 2.5}]}}}, {"type": "function", "function": )"
        R"({"name": "other", "arguments": {}}}])");
  CHECK(all("messages[1].content is none") == "True");
  CHECK(all("'tool_calls' in messages[0] or 'name' in messages[1] or 'tool_call_id' in "
            "messages[0]") == "False");
}

TEST_CASE("chat template: visual parts keep their places in a string", "[template]") {
  const std::string source = "{% for m in messages %}<{{ m.content | trim | upper }}>{% endfor %}";
  const auto pieces = render(
      source, {{"user", {" a", kPicture, "b", kPicture}}, {"user", {kPicture, "c\U000F0000 "}}});
  CHECK(joined(pieces) == "<A[0]B[1]><[2]C\U000F0000>");
  REQUIRE(pieces.size() == 9);
  CHECK(pieces[0].text == "<");
  CHECK_FALSE(pieces[0].from_user);
  CHECK(pieces[1].from_user);
  CHECK(pieces[2].visual == 0);
}

TEST_CASE("chat template: one that loops over parts gets a list", "[template]") {
  const Json goldens = read_json_file(data("tests/data/template/goldens.json"));
  const std::string source = goldens.at("sources").at("smolvlm").as_string();
  ChatTemplateOptions options;
  options.visual_mark = "<image>";
  const auto pieces = render(
      source, {{"user", {kPicture, "What <image>?", kPicture}}, {"assistant", {"A"}}}, options);
  CHECK(joined(pieces) ==
        "<|im_start|>User:[0]What <image>?[1]<end_of_utterance>\n"
        "Assistant: A<end_of_utterance>\nAssistant:");
  CHECK(joined(render("{{ messages[0]['content'][0]['type'] }}", {{"user", {"words"}}})) == "text");
}

TEST_CASE("chat template: a hostile one ends in bounded time", "[template]") {
  const auto source = GENERATE(
      as<std::string>(), "{% for i in range(100000000) %}{% endfor %}",
      "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
      "{% endfor %}",
      "{{ 'a' * 1000000000 }}",
      "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
      "{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% endfor %}{{ ns.x | tojson }}",
      "{% set ns = namespace(x={}) %}{% for i in range(40) %}{% set ns.x = {1: ns.x, 2: ns.x} %}"
      "{% endfor %}{{ ns.x == ns.x }}",
      "{{ ('a' * 9999999) | replace('', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') }}");
  INFO(source);
  try {
    render(source, {});
    FAIL("it ended by itself");
  } catch (const Error& problem) {
    CHECK(problem.code() == ErrorCode::kResourceExhausted);
  }
}

TEST_CASE("chat template: deep nesting in the source is refused", "[template]") {
  const auto repeated = [](const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  CHECK_THROWS_WITH(render("{{ " + repeated("(", 9999) + repeated(")", 9999) + " }}", {}),
                    Contains("nested too deep"));
  CHECK_THROWS_WITH(render("{{ " + repeated("not ", 9999) + "1 }}", {}),
                    Contains("nested too deep"));
  CHECK_THROWS_WITH(render("{{ " + repeated("-", 9999) + "1 }}", {}), Contains("nested too deep"));
  CHECK_THROWS_WITH(render("{{ 1" + repeated(" + 1", 9999) + " }}", {}),
                    Contains("nested too deep"));
  CHECK_THROWS_WITH(render("{{ a" + repeated(".b", 9999) + " }}", {}), Contains("nested too deep"));
  CHECK_THROWS_WITH(render(repeated("{% if 1 %}", 9999), {}), Contains("nested too deep"));
  CHECK_THROWS_WITH(render("{% if 0 %}" + repeated("{% elif 0 %}", 9999) + "{% endif %}", {}),
                    Contains("too many branches"));
}

TEST_CASE("chat template: an error names the line", "[template]") {
  const auto [source, text] = GENERATE(table<std::string, std::string>({
      {"a\n{% if x %}", "line 2: 'if' without 'endif'"},
      {"\n\n{{ 'a }}", "line 3: a string without its end"},
      {"{{ 1", "line 1: a tag without its end"},
      {"{# a", "line 1: a comment without '#}'"},
      {"{% raw %}", "'raw' without 'endraw'"},
      {"{% include 'x' %}", "the statement 'include' is not understood"},
      {"{% break %}", "'break' outside of a loop"},
      {"{{ a ! b }}", "unexpected '!'"},
      {"\n{{ 1 | nothing }}", "line 2: there is no filter 'nothing'"},
      {"{{ 1 is nothing }}", "there is no test 'nothing'"},
      {"{{ f(*x) }}", "arguments by '*'"},
      {"{{ raise_exception('Roles must alternate') }}", "line 1: Roles must alternate"},
      {"{{ missing.x.y }}", "'missing' is undefined"},
      {"{% set x.y = 1 %}", "'x' is no namespace"},
      {"{{ 9223372036854775807 + 1 }}", "out of range"},
      {"{{ 99999999999999999999 }}", "out of range"},
      {"{{ messages | tojson | fromjson }}", "there is no filter 'fromjson'"},
      {"{{ range | tojson }}", "a function cannot be written as JSON"},
  }));
  INFO(source);
  CHECK_THROWS_WITH(render(source, {}), Contains(text));
}

TEST_CASE("chat template: bytes that are no UTF-8 become U+FFFD", "[template]") {
  CHECK(joined(render("{{ messages[0].content }}\xFF", {{"user", {"a\xC3"}}})) == "a\uFFFD\uFFFD");
}
