#include <algorithm>
#include <charconv>
#include <filesystem>

#include "llm/tokenizer/parts.h"
#include "llm/tokenizer/sentence_piece.h"
#include "pipeline/base/error.h"
#include "pipeline/base/read_file.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {
namespace {

constexpr int64_t kMaxModelBytes = 64 << 20;

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
  const Json configs[] = {optional_json_file(folder / "generation_config.json"), model_config,
                          text_config != nullptr ? *text_config : Json()};
  const Json tokenizer_config = optional_json_file(folder / "tokenizer_config.json");
  if (const auto bos = named_id(tokenizer_config, "bos_token", parts)) parts.bos = bos;
  if (const auto eos = named_id(tokenizer_config, "eos_token", parts)) parts.eos = eos;
  if (parts.eos) parts.stop_ids = {*parts.eos};
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

/// Adds the token unless there is one of this id; what the model calls a piece stays special.
void add_token(AddedToken token, TokenizerParts& parts) {
  if (token.id < 0 || token.id >= (1 << 23) || token.content.empty()) return;
  for (AddedToken& known : parts.added) {
    if (known.id != token.id) continue;
    token.special = token.special || known.special;
    known = std::move(token);
    return;
  }
  parts.added.push_back(std::move(token));
}

/// The tokens that the folder adds to those of tokenizer.model.
void read_added(const std::filesystem::path& folder, TokenizerParts& parts) {
  const Json plain = optional_json_file(folder / "added_tokens.json");
  if (plain.is_object()) {
    for (const auto& [content, id] : plain.as_object()) {
      AddedToken token;
      token.id = id.as_int();
      token.content = content;
      token.special = true;  // the file does not say; a mark that users could write is the worse
      add_token(std::move(token), parts);
    }
  }
  const Json config = optional_json_file(folder / "tokenizer_config.json");
  const Json* detailed = config.find("added_tokens_decoder");
  if (detailed == nullptr || !detailed->is_object()) return;
  for (const auto& [key, entry] : detailed->as_object()) {
    AddedToken token;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    check(status == std::errc() && end == key.data() + key.size(), ErrorCode::kInvalidArgument,
          "added_tokens_decoder: expected ids as keys, got '" + key + "'");
    token.content = entry.at("content").as_string();
    token.special = entry.get("special", false);
    token.single_word = entry.get("single_word", false);
    token.lstrip = entry.get("lstrip", false);
    token.rstrip = entry.get("rstrip", false);
    token.normalized = entry.get("normalized", false);
    add_token(std::move(token), parts);
  }
}

/// `legacy`, if false, lets only the beginning of a text begin with a space.
TokenizerParts parts_from_sentence_piece_folder(const std::filesystem::path& folder,
                                                std::string_view bytes) {
  SentencePieceModel model = parse_sentence_piece(bytes);
  model.rules.begin_once =
      !optional_json_file(folder / "tokenizer_config.json").get("legacy", true);
  TokenizerParts parts = parts_from_sentence_piece(std::move(model));
  read_added(folder, parts);
  return parts;
}

/// What is put around a whole text: a begin token, unless the folder says otherwise.
void read_added_ends(const Json& config, TokenizerParts& parts) {
  if (config.get("add_bos_token", true) && parts.bos) parts.prefix.push_back(*parts.bos);
  if (config.get("add_eos_token", false) && parts.eos) parts.suffix.push_back(*parts.eos);
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
  const std::filesystem::path json = folder / "tokenizer.json", pieces = folder / "tokenizer.model";
  const bool has_json = std::filesystem::is_regular_file(json);
  check(has_json || std::filesystem::is_regular_file(pieces), ErrorCode::kNotFound,
        checkpoint.name() +
            ": expected a tokenizer.json, a tokenizer.model or a GGUF file's tokenizer, got none");
  const std::string path = (has_json ? json : pieces).string();
  const Json description = has_json ? read_json_file(path) : Json();  // whose errors name the file
  const std::string bytes = has_json ? "" : file_contents(path, kMaxModelBytes);
  try {
    TokenizerParts parts =
        has_json ? parts_from_json(description) : parts_from_sentence_piece_folder(folder, bytes);
    read_ends(folder, checkpoint.config(), parts);
    if (!has_json) read_added_ends(optional_json_file(folder / "tokenizer_config.json"), parts);
    return std::make_shared<const Tokenizer>(std::move(parts));
  } catch (const Error& problem) {
    throw Error(problem.code(), path + ": " + problem.what());
  }
}

}  // namespace lv::llm
