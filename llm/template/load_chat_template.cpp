#include <filesystem>
#include <map>
#include <string_view>

#include "llm/template/chat_template.h"
#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"
#include "pipeline/base/read_file.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxTemplateBytes = 1 << 20;

/// The template that a `chat_template` entry holds: a string, or a list of named ones.
std::optional<std::string> entry_of(const Json& config) {
  const Json* entry = config.find("chat_template");
  if (entry == nullptr || entry->is_null()) return std::nullopt;
  if (entry->is_string()) return entry->as_string();
  for (const Json& named : entry->as_array()) {
    if (named.get("name", "") == "default") return named.at("template").as_string();
  }
  return std::nullopt;
}

/// AuroraCap's, as its own programs write them: nothing before the first user.
constexpr std::string_view kAuroraCap =
    "{% for message in messages %}{% if message['role'] == 'assistant' %} {{ message['content'] }}"
    "{{ eos_token }}{% elif message['role'] == 'user' %}USER: {{ message['content'] }} ASSISTANT:"
    "{% else %}{{ message['content'] }} {% endif %}{% endfor %}";

/// Conversations as Vicuna 1.1 was trained on them.
constexpr std::string_view kVicuna =
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% else %}"
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.{% endif %} "
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "USER: {{ message['content'] }} {% elif message['role'] == 'assistant' %}"
    "ASSISTANT: {{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}";

/// Llama 3's, without what its own template adds of dates.
constexpr std::string_view kLeopardLlava =
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}"
    "<|end_header_id|>\n\n{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

constexpr std::string_view kIdefics2 =
    "{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}<image>{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

/// Of families whose files bring no template, by the architecture of the whole.
std::optional<std::string> family_template(const Checkpoint& checkpoint) {
  static const std::map<std::string_view, std::string_view> all = {
      {"AuroraForConditionalGeneration", kAuroraCap},
      {"Idefics2ForConditionalGeneration", kIdefics2},
      {"LeopardLlavaForConditionalGeneration", kLeopardLlava},
      {"LlavaLlamaVLoRAForCausalLM", kVicuna},
  };
  const auto found = all.find(checkpoint.architecture());
  if (found == all.end()) return std::nullopt;
  return std::string(found->second);
}

std::optional<std::string> source_in(const fs::path& folder) {
  const fs::path plain = folder / "chat_template.jinja";
  if (fs::is_regular_file(plain)) return file_contents(plain.string(), kMaxTemplateBytes);
  for (const char* file : {"chat_template.json", "processor_config.json"}) {
    if (auto source = entry_of(optional_json_file(folder / file))) return source;
  }
  return entry_of(optional_json_file(folder / "tokenizer_config.json"));
}

}  // namespace

std::optional<ChatTemplate> load_chat_template(const Checkpoint& checkpoint) {
  const Json* inside = checkpoint.metadata().find("tokenizer.chat_template");
  auto source = inside != nullptr ? std::optional<std::string>(inside->as_string())
                                  : source_in(checkpoint.path());
  // Its own programs write prompts themselves, whatever the tokenizer's files hold.
  if (checkpoint.architecture() == "LeopardLlavaForConditionalGeneration") source.reset();
  if (!source) source = family_template(checkpoint);
  if (!source) return std::nullopt;
  const TokenizerPtr tokenizer = load_tokenizer(checkpoint);
  const auto text = [&](std::optional<int64_t> id) {
    return id ? tokenizer->token(*id) : std::string();
  };
  try {
    return ChatTemplate(*source, text(tokenizer->bos()), text(tokenizer->eos()));
  } catch (const Error& problem) {
    throw Error(problem.code(), checkpoint.name() + ": " + problem.what());
  }
}

}  // namespace lv::llm
