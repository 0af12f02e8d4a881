#include <filesystem>
#include <fstream>
#include <sstream>

#include "llm/template/chat_template.h"
#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {
namespace {

namespace fs = std::filesystem;

Json optional_file(const fs::path& path) {
  return fs::is_regular_file(path) ? read_json_file(path.string()) : Json();
}

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

std::optional<std::string> source_in(const fs::path& folder) {
  const fs::path plain = folder / "chat_template.jinja";
  if (fs::is_regular_file(plain)) {
    std::ifstream file(plain, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    check(file.good(), ErrorCode::kNotFound, plain.string() + ": cannot be read");
    return text.str();
  }
  if (auto source = entry_of(optional_file(folder / "chat_template.json"))) return source;
  return entry_of(optional_file(folder / "tokenizer_config.json"));
}

}  // namespace

std::optional<ChatTemplate> load_chat_template(const Checkpoint& checkpoint) {
  const Json* inside = checkpoint.metadata().find("tokenizer.chat_template");
  const auto source = inside != nullptr ? std::optional<std::string>(inside->as_string())
                                        : source_in(checkpoint.path());
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
