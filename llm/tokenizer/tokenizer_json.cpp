
#include "llm/tokenizer/bpe.h"
#include "llm/tokenizer/parts.h"
#include "llm/tokenizer/unigram.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

/// Runs `make` and puts the section's name before its error.
template <class Make>
auto within(const char* section, Make make) {
  try {
    return make();
  } catch (const Error& problem) {
    throw Error(problem.code(), std::string(section) + ": " + problem.what());
  }
}

const Json& section_of(const Json& description, const char* key) {
  static const Json none;
  const Json* found = description.find(key);
  return found != nullptr ? *found : none;
}

TokenPair merge_of(const Json& entry) {
  if (entry.is_string()) return parse_merge(entry.as_string());
  const Json::Array& pair = entry.as_array();
  check(pair.size() == 2, ErrorCode::kInvalidArgument,
        "merges: expected pairs, got " + std::to_string(pair.size()) + " tokens");
  return {pair[0].as_string(), pair[1].as_string()};
}

TokenModelPtr bpe_from(const Json& model, std::vector<int64_t> not_text) {
  Vocabulary vocabulary;
  for (const auto& [token, id] : model.at("vocab").as_object()) vocabulary.add(token, id.as_int());
  std::vector<TokenPair> merges;
  for (const Json& entry : model.at("merges").as_array()) merges.push_back(merge_of(entry));
  check(model.get("dropout", 0.0) == 0.0, ErrorCode::kUnimplemented,
        "dropout: expected none, got one");
  BpeOptions options;
  options.unknown = model.get("unk_token", "");
  options.continuation_prefix = model.get("continuing_subword_prefix", "");
  options.word_suffix = model.get("end_of_word_suffix", "");
  options.byte_fallback = model.get("byte_fallback", false);
  options.fuse_unknown = model.get("fuse_unk", false);
  options.ignore_merges = model.get("ignore_merges", false);
  options.not_text = std::move(not_text);
  return make_bpe(std::move(vocabulary), merges, std::move(options));
}

TokenModelPtr unigram_from(const Json& model, std::vector<int64_t> not_text) {
  Vocabulary vocabulary;
  std::vector<double> scores;
  for (const Json& entry : model.at("vocab").as_array()) {
    const Json::Array& pair = entry.as_array();
    check(pair.size() == 2, ErrorCode::kInvalidArgument,
          "vocab: expected [token, score], got " + std::to_string(pair.size()) + " values");
    vocabulary.add(pair[0].as_string(), static_cast<int64_t>(scores.size()));
    scores.push_back(pair[1].as_double());
  }
  UnigramOptions options;
  const int64_t unknown = model.get("unk_id", -1);
  check(unknown >= -1 && unknown < vocabulary.size(), ErrorCode::kInvalidArgument,
        "unk_id: expected less than " + std::to_string(vocabulary.size()) + ", got " +
            std::to_string(unknown));
  options.unknown_id = static_cast<int32_t>(unknown);
  options.byte_fallback = model.get("byte_fallback", false);
  options.not_text = std::move(not_text);
  return make_unigram(std::move(vocabulary), std::move(scores), std::move(options));
}

TokenModelPtr model_from(const Json& model, const std::vector<AddedToken>& added) {
  std::vector<int64_t> special = special_ids(added);
  const std::string type = model.get("type", model.find("merges") != nullptr ? "BPE" : "");
  if (type == "BPE") return bpe_from(model, std::move(special));
  if (type == "Unigram") return unigram_from(model, std::move(special));
  throw Error(ErrorCode::kUnimplemented, "expected BPE or Unigram, got '" + type + "'");
}

std::vector<AddedToken> added_from(const Json& list) {
  std::vector<AddedToken> added;
  if (list.is_null()) return added;
  for (const Json& entry : list.as_array()) {
    AddedToken token;
    token.id = entry.at("id").as_int();
    token.content = entry.at("content").as_string();
    check(token.id >= 0 && token.id < (1 << 23), ErrorCode::kInvalidArgument,
          "id: expected [0, 2^23), got " + std::to_string(token.id));
    token.special = entry.get("special", false);
    token.single_word = entry.get("single_word", false);
    token.lstrip = entry.get("lstrip", false);
    token.rstrip = entry.get("rstrip", false);
    token.normalized = entry.get("normalized", !token.special);
    if (!token.content.empty()) added.push_back(std::move(token));
  }
  return added;
}

void append_template_ids(const Json& processor, const std::string& name,
                         std::vector<int64_t>& ids) {
  for (const Json& id : processor.at("special_tokens").at(name).at("ids").as_array())
    ids.push_back(id.as_int());
}

void read_template(const Json& processor, TokenizerParts& parts) {
  bool behind = false;
  for (const Json& item : processor.at("single").as_array()) {
    if (item.find("Sequence") != nullptr) {
      behind = true;
    } else {
      append_template_ids(processor, item.at("SpecialToken").at("id").as_string(),
                          behind ? parts.suffix : parts.prefix);
    }
  }
}

/// What is put around a text: [token, id] pairs called `cls` and `sep`.
void read_pair(const Json& processor, TokenizerParts& parts) {
  const auto id_in = [&](const char* key) {
    const Json::Array& pair = processor.at(key).as_array();
    check(pair.size() == 2, ErrorCode::kInvalidArgument,
          std::string(key) + ": expected [token, id]");
    return pair[1].as_int();
  };
  parts.prefix.push_back(id_in("cls"));
  parts.suffix.push_back(id_in("sep"));
}

void read_post_processor(const Json& processor, TokenizerParts& parts) {
  if (processor.is_null()) return;
  const std::string type = processor.get("type", "");
  if (type == "TemplateProcessing") {
    read_template(processor, parts);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    read_pair(processor, parts);
  } else if (type == "Sequence") {
    for (const Json& step : processor.at("processors").as_array()) read_post_processor(step, parts);
  } else if (type != "ByteLevel") {  // which only moves offsets
    throw Error(ErrorCode::kUnimplemented,
                "expected Sequence, TemplateProcessing, ByteLevel, RobertaProcessing or "
                "BertProcessing, got '" +
                    type + "'");
  }
}

}  // namespace

TokenizerParts parts_from_json(const Json& description) {
  check(description.is_object(), ErrorCode::kInvalidArgument,
        "tokenizer: expected an object of JSON, got something else");
  TokenizerParts parts;
  parts.added =
      within("added_tokens", [&] { return added_from(section_of(description, "added_tokens")); });
  parts.model = within("model", [&] { return model_from(description.at("model"), parts.added); });
  parts.normalizer =
      within("normalizer", [&] { return make_normalizer(section_of(description, "normalizer")); });
  parts.pre_tokenizer = within("pre_tokenizer", [&] {
    return make_pre_tokenizer(section_of(description, "pre_tokenizer"));
  });
  parts.decoder =
      within("decoder", [&] { return make_token_decoder(section_of(description, "decoder")); });
  within("post_processor",
         [&] { read_post_processor(section_of(description, "post_processor"), parts); });
  return parts;
}

TokenizerPtr tokenizer_from_json(const Json& description) {
  return std::make_shared<const Tokenizer>(parts_from_json(description));
}

TokenizerPtr load_tokenizer_json(const std::string& path) {
  const Json description = read_json_file(path);
  try {
    return tokenizer_from_json(description);
  } catch (const Error& problem) {
    throw Error(problem.code(), path + ": " + problem.what());
  }
}

}  // namespace lv::llm
