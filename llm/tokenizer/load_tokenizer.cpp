#include <algorithm>
#include <filesystem>

#include "llm/tokenizer/parts.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {
namespace {

/// A file of the folder; null if it is not there.
Json optional_file(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path) ? read_json_file(path.string()) : Json();
}

bool in_vocabulary(int64_t id, const TokenizerParts& parts) {
  if (parts.model->vocabulary().token(id) != nullptr) return true;
  return std::any_of(parts.added.begin(), parts.added.end(),
                     [&](const AddedToken& token) { return token.id == id; });
}

/// Ids that a configuration gives as a number or a list of numbers; those without a token are left
/// out.
std::vector<int64_t> ids_at(const Json& config, const char* key, const TokenizerParts& parts) {
  std::vector<int64_t> ids;
  const auto take = [&](const Json& value) {
    if (value.is_int() && in_vocabulary(value.as_int(), parts)) ids.push_back(value.as_int());
  };
  const Json* value = config.find(key);
  if (value == nullptr) return ids;
  if (!value->is_array()) {
    take(*value);
  } else {
    for (const Json& item : value->as_array()) take(item);
  }
  return ids;
}

/// The id of a token that tokenizer_config.json names, as text or as {"content": text}.
std::optional<int64_t> named_id(const Json& config, const char* key, const TokenizerParts& parts) {
  const Json* value = config.find(key);
  if (value != nullptr && value->is_object()) value = value->find("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  for (const AddedToken& token : parts.added) {
    if (token.content == value->as_string()) return token.id;
  }
  const auto id = parts.model->vocabulary().find(value->as_string());
  return id ? std::optional<int64_t>(*id) : std::nullopt;
}

/// From the folder's configurations, the tokenizer's own first.
void read_ends(const std::filesystem::path& folder, const Json& model_config,
               TokenizerParts& parts) {
  const Json* text_config = model_config.find("text_config");
  const Json configs[] = {optional_file(folder / "generation_config.json"), model_config,
                          text_config != nullptr ? *text_config : Json()};
  const Json tokenizer_config = optional_file(folder / "tokenizer_config.json");
  parts.bos = named_id(tokenizer_config, "bos_token", parts);
  parts.eos = named_id(tokenizer_config, "eos_token", parts);
  if (parts.eos) parts.stop_ids.push_back(*parts.eos);
  for (const Json& config : configs) {
    const auto bos = ids_at(config, "bos_token_id", parts);
    const auto eos = ids_at(config, "eos_token_id", parts);
    if (!parts.bos && !bos.empty()) parts.bos = bos[0];
    if (!parts.eos && !eos.empty()) parts.eos = eos[0];
    for (const int64_t id : eos) {
      auto& known = parts.stop_ids;
      if (std::find(known.begin(), known.end(), id) == known.end()) known.push_back(id);
    }
  }
}

}  // namespace

TokenizerPtr load_tokenizer(const Checkpoint& checkpoint) {
  if (checkpoint.metadata().find("tokenizer.ggml.model") != nullptr) {
    try {
      return tokenizer_from_gguf(checkpoint.metadata());
    } catch (const Error& problem) {
      throw Error(problem.code(), checkpoint.name() + ": " + problem.what());
    }
  }
  const std::filesystem::path folder = checkpoint.path();
  const std::string path = (folder / "tokenizer.json").string();
  check(std::filesystem::is_regular_file(path), ErrorCode::kNotFound,
        checkpoint.name() + ": expected a tokenizer.json or a GGUF file's tokenizer, got neither");
  try {
    TokenizerParts parts = parts_from_json(read_json_file(path));
    read_ends(folder, checkpoint.config(), parts);
    return std::make_shared<const Tokenizer>(std::move(parts));
  } catch (const Error& problem) {
    throw Error(problem.code(), path + ": " + problem.what());
  }
}

}  // namespace lv::llm
