#include "llm/tokenizer/tokenizer.h"

#include <map>

#include "llm/tokenizer/added_tokens.h"
#include "llm/tokenizer/parts.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

MarkedText concatenated(std::span<const TextPiece> pieces) {
  MarkedText whole;
  std::string run;  // neighbours of one mark: characters may be cut by the border between them
  for (size_t i = 0; i < pieces.size(); ++i) {
    run += pieces[i].text;
    if (i + 1 < pieces.size() && pieces[i + 1].special_allowed == pieces[i].special_allowed)
      continue;
    whole.append(valid_utf8(run), pieces[i].special_allowed ? '\1' : '\0');
    run.clear();
  }
  return whole;
}

/// What the token looks like in the text that is searched for it.
std::string sought_content(const TokenizerParts& parts, const AddedToken& token) {
  MarkedText content;
  content.append(valid_utf8(token.content), '\1');
  if (token.normalized && parts.normalizer) parts.normalizer->apply(content);
  return std::move(content.text);
}

AddedTokenFinder finder_of(const TokenizerParts& parts, bool normalized) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> contents;
  for (const AddedToken& token : parts.added) {
    if (token.normalized != normalized) continue;
    tokens.push_back(token);
    contents.push_back(sought_content(parts, token));
  }
  return AddedTokenFinder(std::move(tokens), contents);
}

}  // namespace

struct Tokenizer::State {
  TokenizerParts parts;
  AddedTokenFinder raw, normalized;
  struct Added {
    std::string text;  // as decode() writes it
    bool special;
  };
  std::map<int64_t, Added> by_id;
  std::map<std::string, const AddedToken*, std::less<>> by_content;

  explicit State(TokenizerParts given)
      : parts(std::move(given)), raw(finder_of(parts, false)), normalized(finder_of(parts, true)) {
    for (const AddedToken& token : parts.added) {
      by_id[token.id] = {sought_content(parts, token), token.special};
      by_content[token.content] = &token;
    }
  }

  const std::string* find(int64_t id) const {
    const auto it = by_id.find(id);
    return it != by_id.end() ? &it->second.text : parts.model->vocabulary().token(id);
  }
  bool is_special(int64_t id) const {
    const auto it = by_id.find(id);
    return it != by_id.end() && it->second.special;
  }

  /// What a token adds to a text, `first` to an empty one.
  std::string bytes(std::string token, bool first) const {
    if (parts.decoder) {
      parts.decoder->apply_next(token, first);
    } else if (!first) {
      token.insert(0, 1, ' ');
    }
    return token;
  }

  void encode_text(std::string text, bool first, std::vector<int64_t>& ids) const {
    Words words{{std::move(text), first}};
    if (parts.pre_tokenizer) parts.pre_tokenizer->apply(words);
    for (const Word& word : words) parts.model->tokenize(word.text, ids);
  }

  /// Text between tokens that are found before normalisation.
  void encode_section(MarkedText text, std::vector<int64_t>& ids) const {
    if (parts.normalizer) parts.normalizer->apply(text);
    for (const Section& section : normalized.split(text)) {
      if (section.token >= 0) {
        ids.push_back(section.token);
      } else {
        encode_text(text.text.substr(section.begin, section.end - section.begin),
                    text.first && section.begin == 0, ids);
      }
    }
  }
};

Tokenizer::Tokenizer(TokenizerParts parts) {
  check(parts.model != nullptr, ErrorCode::kInternal, "tokenizer: expected a model, got none");
  state_ = std::make_unique<const State>(std::move(parts));
}
Tokenizer::~Tokenizer() = default;

std::vector<int64_t> Tokenizer::encode(std::span<const TextPiece> pieces) const {
  const MarkedText whole = concatenated(pieces);
  std::vector<int64_t> ids;
  for (const Section& section : state_->raw.split(whole)) {
    if (section.token >= 0) {
      ids.push_back(section.token);
      continue;
    }
    const size_t size = section.end - section.begin;
    state_->encode_section({whole.text.substr(section.begin, size),
                            whole.allowed.substr(section.begin, size), section.begin == 0},
                           ids);
  }
  return ids;
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, bool special_allowed) const {
  const TextPiece piece{text, special_allowed};
  return encode(std::span(&piece, 1));
}

std::vector<int64_t> Tokenizer::with_ends(std::vector<int64_t> ids) const {
  const auto& [prefix, suffix] = std::tie(state_->parts.prefix, state_->parts.suffix);
  ids.insert(ids.begin(), prefix.begin(), prefix.end());
  ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int64_t id : ids) {
    const std::string* token = state_->find(id);
    if (token == nullptr || (skip_special && state_->is_special(id))) continue;
    tokens.push_back(*token);
  }
  const bool spaced = state_->parts.decoder == nullptr;
  if (!spaced) state_->parts.decoder->apply(tokens);
  std::string text;
  for (const std::string& token : tokens) {
    if (spaced && !text.empty()) text += ' ';
    text += token;
  }
  return valid_utf8(text);
}

std::optional<int64_t> Tokenizer::id_of(std::string_view token) const {
  const auto it = state_->by_content.find(token);
  if (it != state_->by_content.end()) return it->second->id;
  return state_->parts.model->vocabulary().find(token);
}

const std::string& Tokenizer::token(int64_t id) const {
  const std::string* token = state_->find(id);
  check(token != nullptr, ErrorCode::kOutOfRange,
        "token id: expected one of " + std::to_string(size()) + ", got " + std::to_string(id));
  return *token;
}

bool Tokenizer::is_special(int64_t id) const { return state_->is_special(id); }

std::string Tokenizer::bytes(int64_t id) const {
  const std::string* token = state_->find(id);
  return token == nullptr || is_special(id) ? std::string() : state_->bytes(*token, false);
}

int64_t Tokenizer::size() const {
  const int64_t added = state_->by_id.empty() ? 0 : state_->by_id.rbegin()->first + 1;
  return std::max(added, state_->parts.model->vocabulary().size());
}

std::optional<int64_t> Tokenizer::bos() const { return state_->parts.bos; }
std::optional<int64_t> Tokenizer::eos() const { return state_->parts.eos; }
const std::vector<int64_t>& Tokenizer::stop_ids() const { return state_->parts.stop_ids; }

std::string StreamDecoder::push(int64_t id) {
  const Tokenizer::State& state = *tokenizer_->state_;
  const std::string* token = state.find(id);
  if (token == nullptr || (skip_special_ && state.is_special(id))) return {};
  pending_ += state.bytes(*token, first_);
  first_ = false;
  size_t end = 0;
  bool incomplete = false;
  while (end < pending_.size()) {
    const size_t length = utf8_length(pending_, end, &incomplete);
    if (length == 0 && incomplete) break;
    end += length == 0 ? 1 : length;
  }
  std::string text = valid_utf8(std::string_view(pending_).substr(0, end));
  pending_.erase(0, end);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = valid_utf8(pending_);
  pending_.clear();
  first_ = true;
  return text;
}

}  // namespace lv::llm
