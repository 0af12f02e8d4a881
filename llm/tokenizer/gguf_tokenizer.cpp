#include <algorithm>
#include <map>

#include "llm/tokenizer/bpe.h"
#include "llm/tokenizer/parts.h"
#include "llm/tokenizer/sentence_piece.h"
#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv::llm {
namespace {

struct Split {
  std::vector<const char*> patterns;  // applied one after the other
  bool ignore_merges = false;
  bool begins = false;  // a begin token is put first unless the file says otherwise
};

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// How texts are split, by tokenizer.ggml.pre.
const std::map<std::string, Split, std::less<>>& splits() {
  static const Split gpt2{{kGpt2Pattern}};
  static const Split digits{{R"(\p{N})", kGpt2Pattern}};
  static const Split llama3{{kLlama3}, true, true};
  static const Split qwen2{{kQwen2}};
  static const std::map<std::string, Split, std::less<>> all = {
      {"default", {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
      {"gpt-2", gpt2},
      {"phi-2", gpt2},
      {"mpt", gpt2},
      {"olmo", gpt2},
      {"jina-v2-code", gpt2},
      {"smollm", digits},
      {"starcoder", digits},
      {"refact", digits},
      {"command-r", digits},
      {"codeshell", digits},
      {"llama-bpe", llama3},
      {"llama3", llama3},
      {"llama-v3", llama3},
      {"falcon3", llama3},
      {"smaug-bpe", {{kLlama3}}},
      {"dbrx", {{kLlama3}}},
      {"qwen2", qwen2},
      {"deepseek-r1-qwen", qwen2},
      {"stablelm2", qwen2},
      {"gpt-4o", {{kGpt4o}}},
      {"tekken", {{kTekken}, true}},
  };
  return all;
}

const Split& split_called(const std::string& name) {
  const auto it = splits().find(name);
  if (it != splits().end()) return it->second;
  throw Error(ErrorCode::kUnimplemented,
              "tokenizer.ggml.pre: expected one of " +
                  joined_text(splits(), ", ", [](const auto& entry) { return entry.first; }) +
                  "; got '" + name + "'");
}

Json object(std::initializer_list<std::pair<const char*, Json>> members) {
  Json result{Json::Object()};
  for (const auto& [key, value] : members) result.set(key, value);
  return result;
}

Json sequence(const char* list_key, Json::Array steps) {
  return object({{"type", "Sequence"}, {list_key, Json(std::move(steps))}});
}

Json replace(const char* from, const char* to) {
  return object({{"type", "Replace"}, {"pattern", object({{"String", from}})}, {"content", to}});
}

/// Each pattern isolates its matches; then bytes become characters.
PreTokenizerPtr make_splitter(const Split& split) {
  Json::Array steps;
  for (const char* pattern : split.patterns) {
    steps.push_back(object(
        {{"type", "Split"}, {"pattern", object({{"Regex", pattern}})}, {"behavior", "Isolated"}}));
  }
  steps.push_back(
      object({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}));
  return make_pre_tokenizer(sequence("pretokenizers", std::move(steps)));
}

std::optional<int64_t> id_at(const Json& metadata, const std::string& name, int64_t size) {
  const std::string key = "tokenizer.ggml." + name + "_token_id";
  const int64_t id = metadata.get(key, -1);
  if (id == -1 || id == 0xFFFFFFFF) return std::nullopt;  // both stand for none
  check(id >= 0 && id < size, ErrorCode::kInvalidArgument,
        key + ": expected less than " + std::to_string(size) + ", got " + std::to_string(id));
  return id;
}

Vocabulary read_vocabulary(const Json& metadata) {
  Vocabulary vocabulary;
  for (const Json& token : metadata.at("tokenizer.ggml.tokens").as_array()) {
    const int64_t id = vocabulary.size();
    // Converters fill gaps with tokens of any name, also twice; only the first can be found.
    const bool taken = vocabulary.find(token.as_string()).has_value();
    vocabulary.add(taken ? token.as_string() + "#" + std::to_string(id) : token.as_string(), id);
  }
  return vocabulary;
}

std::vector<AddedToken> read_added(const Json& metadata, const Vocabulary& vocabulary) {
  std::vector<AddedToken> added;
  const Json* types = metadata.find("tokenizer.ggml.token_type");
  if (types == nullptr) return added;
  const Json::Array& list = types->as_array();
  check(static_cast<int64_t>(list.size()) == vocabulary.size(), ErrorCode::kInvalidArgument,
        "tokenizer.ggml.token_type: expected " + std::to_string(vocabulary.size()) +
            " types, got " + std::to_string(list.size()));
  for (size_t i = 0; i < list.size(); ++i) {
    const auto type = static_cast<PieceType>(list[i].as_int());
    if (type != PieceType::kUnknown && type != PieceType::kControl &&
        type != PieceType::kUserDefined)
      continue;
    AddedToken token;
    token.id = static_cast<int64_t>(i);
    token.content = *vocabulary.token(token.id);
    token.special = type != PieceType::kUserDefined;
    if (!token.content.empty()) added.push_back(std::move(token));
  }
  return added;
}

void read_ends(const Json& metadata, bool begins, TokenizerParts& parts) {
  const int64_t size = parts.model->vocabulary().size();
  parts.bos = id_at(metadata, "bos", size);
  parts.eos = id_at(metadata, "eos", size);
  if (metadata.get("tokenizer.ggml.add_bos_token", begins) && parts.bos)
    parts.prefix.push_back(*parts.bos);
  if (metadata.get("tokenizer.ggml.add_eos_token", false) && parts.eos)
    parts.suffix.push_back(*parts.eos);
  const auto stop_at = [&](std::optional<int64_t> id) {
    const auto& known = parts.stop_ids;
    if (id && std::find(known.begin(), known.end(), *id) == known.end())
      parts.stop_ids.push_back(*id);
  };
  for (const char* name : {"eos", "eot", "eom"}) stop_at(id_at(metadata, name, size));
  // Files made before these keys existed name only one of the tokens that end an answer.
  for (const AddedToken& token : parts.added) {
    for (const char* name : {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>",
                             "<|endoftext|>", "<|end_of_text|>"}) {
      if (token.special && token.content == name) stop_at(token.id);
    }
  }
}

void build_byte_level(const Json& metadata, Vocabulary vocabulary, TokenizerParts& parts) {
  const Split& split = split_called(metadata.get("tokenizer.ggml.pre", "default"));
  std::vector<TokenPair> merges;
  for (const Json& merge : metadata.at("tokenizer.ggml.merges").as_array())
    merges.push_back(parse_merge(merge.as_string()));
  BpeOptions options;
  options.ignore_merges = split.ignore_merges;
  options.not_text = special_ids(parts.added);
  parts.model = make_bpe(std::move(vocabulary), merges, std::move(options));
  parts.pre_tokenizer = make_splitter(split);
  parts.decoder = make_token_decoder(object({{"type", "ByteLevel"}}));
  read_ends(metadata, split.begins, parts);
}

void build_sentence_piece(const Json& metadata, Vocabulary vocabulary, TokenizerParts& parts) {
  std::vector<double> scores;
  for (const Json& score : metadata.at("tokenizer.ggml.scores").as_array())
    scores.push_back(score.as_double());
  check(static_cast<int64_t>(scores.size()) == vocabulary.size(), ErrorCode::kInvalidArgument,
        "tokenizer.ggml.scores: expected " + std::to_string(vocabulary.size()) + " scores, got " +
            std::to_string(scores.size()));
  ScoredBpeOptions options;
  options.unknown_id =
      static_cast<int32_t>(id_at(metadata, "unknown", vocabulary.size()).value_or(-1));
  options.not_text = special_ids(parts.added);
  parts.model = make_scored_bpe(std::move(vocabulary), std::move(scores), std::move(options));
  const bool prefix = metadata.get("tokenizer.ggml.add_space_prefix", true);
  Json::Array before,
      after{replace("\u2581", " "), object({{"type", "ByteFallback"}}), object({{"type", "Fuse"}})};
  if (prefix) {
    before.push_back(object({{"type", "Prepend"}, {"prepend", "\u2581"}}));
    after.push_back(object({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}));
  }
  before.push_back(replace(" ", "\u2581"));
  parts.normalizer = make_normalizer(sequence("normalizers", std::move(before)));
  parts.decoder = make_token_decoder(sequence("decoders", std::move(after)));
  read_ends(metadata, true, parts);
}

}  // namespace

TokenizerParts parts_from_gguf(const Json& metadata) {
  const std::string model = metadata.get("tokenizer.ggml.model", "");
  check(model == "gpt2" || model == "llama", ErrorCode::kUnimplemented,
        "tokenizer.ggml.model: expected gpt2 or llama, got '" + model + "'");
  Vocabulary vocabulary = read_vocabulary(metadata);
  TokenizerParts parts;
  parts.added = read_added(metadata, vocabulary);
  if (model == "gpt2") {
    build_byte_level(metadata, std::move(vocabulary), parts);
  } else {
    build_sentence_piece(metadata, std::move(vocabulary), parts);
  }
  return parts;
}

TokenizerPtr tokenizer_from_gguf(const Json& metadata) {
  return std::make_shared<const Tokenizer>(parts_from_gguf(metadata));
}

}  // namespace lv::llm
