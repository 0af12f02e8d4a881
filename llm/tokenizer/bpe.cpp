#include "llm/tokenizer/bpe.h"

#include <cmath>

#include "llm/tokenizer/merge_symbols.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

void check_length(std::string_view word) {
  check(word.size() < (1u << 30), ErrorCode::kInvalidArgument,
        "text: expected words of less than 2^30 bytes, got " + std::to_string(word.size()));
}

void append_ids(const std::vector<Symbol>& symbols, std::vector<int64_t>& ids) {
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) ids.push_back(symbol.id);
  }
}

class Bpe : public TokenModel {
 public:
  Bpe(Vocabulary vocabulary, const std::vector<TokenPair>& merges, BpeOptions options)
      : TokenModel(std::move(vocabulary)),
        options_(std::move(options)),
        not_text_(marked_ids(options_.not_text, this->vocabulary().size())) {
    merges_.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [left, right] = merges[rank];
      const size_t cut =
          right.starts_with(options_.continuation_prefix) ? options_.continuation_prefix.size() : 0;
      const int32_t merged = id_for_merge(left + right.substr(cut), rank);
      if (not_text_[static_cast<size_t>(merged)]) continue;
      merges_[key(id_for_merge(left, rank), id_for_merge(right, rank))] =
          Merge{static_cast<double>(rank), merged};
    }
    if (!options_.unknown.empty()) {
      const auto unknown = this->vocabulary().find(options_.unknown);
      check(unknown.has_value(), ErrorCode::kInvalidArgument,
            "unk_token: '" + options_.unknown + "' is not in the vocabulary");
      unknown_ = *unknown;
    }
    if (options_.byte_fallback) bytes_ = byte_tokens(this->vocabulary());
  }

  void tokenize(std::string_view word, std::vector<int64_t>& ids) const override {
    check_length(word);
    if (options_.ignore_merges) {
      if (const auto id = find_text(word)) {
        ids.push_back(*id);
        return;
      }
    }
    std::vector<Symbol> symbols = characters(word);
    merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
      const auto it = merges_.find(key(left.id, right.id));
      if (it == merges_.end()) return std::nullopt;
      return it->second;
    });
    append_ids(symbols, ids);
  }

 private:
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  int32_t id_for_merge(const std::string& token, size_t rank) const {
    const auto id = vocabulary().find(token);
    check(id.has_value(), ErrorCode::kInvalidArgument,
          "merges[" + std::to_string(rank) + "]: '" + token + "' is not in the vocabulary");
    return *id;
  }

  std::optional<int32_t> find_text(std::string_view token) const {
    const auto id = vocabulary().find(token);
    return id && not_text_[static_cast<size_t>(*id)] ? std::nullopt : id;
  }

  std::optional<int32_t> find_character(std::string_view character, bool first, bool last) const {
    if ((first || options_.continuation_prefix.empty()) && (!last || options_.word_suffix.empty()))
      return find_text(character);
    std::string token = first ? std::string() : options_.continuation_prefix;
    token += character;
    if (last) token += options_.word_suffix;
    return find_text(token);
  }

  /// A symbol for each character, or for each of its bytes, or for a run of unknown ones.
  std::vector<Symbol> characters(std::string_view word) const {
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    size_t unknown_begin = 0, unknown_length = 0;
    const auto flush_unknown = [&] {
      if (unknown_length > 0) push_symbol(symbols, unknown_, unknown_begin, unknown_length);
      unknown_length = 0;
    };
    for (size_t i = 0; i < word.size();) {
      const size_t begin = i;
      next_character(word, i);
      const std::string_view character = word.substr(begin, i - begin);
      if (const auto id = find_character(character, begin == 0, i == word.size())) {
        flush_unknown();
        push_symbol(symbols, *id, begin, i - begin);
        continue;
      }
      if (options_.byte_fallback && push_bytes(character, begin, symbols)) continue;
      if (unknown_ < 0) continue;
      if (!options_.fuse_unknown) flush_unknown();
      if (unknown_length == 0) unknown_begin = begin;
      unknown_length += i - begin;
    }
    flush_unknown();
    return symbols;
  }

  bool push_bytes(std::string_view character, size_t begin, std::vector<Symbol>& symbols) const {
    std::vector<int64_t> ids;
    if (!append_bytes(character, bytes_, ids)) return false;
    for (size_t i = 0; i < ids.size(); ++i)
      push_symbol(symbols, static_cast<int32_t>(ids[i]), begin + i, 1);
    return true;
  }

  BpeOptions options_;
  std::vector<bool> not_text_;
  std::unordered_map<uint64_t, Merge> merges_;  // (left id, right id)
  int32_t unknown_ = -1;
  std::vector<int32_t> bytes_;
};

class ScoredBpe : public TokenModel {
 public:
  ScoredBpe(Vocabulary vocabulary, std::vector<double> scores, ScoredBpeOptions options)
      : TokenModel(std::move(vocabulary)),
        scores_(std::move(scores)),
        options_(std::move(options)),
        not_text_(marked_ids(options_.not_text, this->vocabulary().size())) {
    scores_.resize(static_cast<size_t>(this->vocabulary().size()));
    for (double& score : scores_) {
      if (std::isnan(score)) score = -INFINITY;  // comparable, and last
    }
    if (options_.byte_fallback) bytes_ = byte_tokens(this->vocabulary());
  }

  void tokenize(std::string_view word, std::vector<int64_t>& ids) const override {
    check_length(word);
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    for (size_t i = 0; i < word.size();) {
      const size_t begin = i;
      next_character(word, i);
      push_symbol(symbols, find_text(word.substr(begin, i - begin)).value_or(-1), begin, i - begin);
    }
    merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
      const auto id = find_text(word.substr(left.begin, left.length + right.length));
      if (!id) return std::nullopt;
      return Merge{-scores_[static_cast<size_t>(*id)], *id};
    });
    bool after_unknown = false;
    for (const Symbol& symbol : symbols) {
      if (symbol.length == 0) continue;
      if (symbol.id >= 0) {
        ids.push_back(symbol.id);
      } else if (!append_bytes(word.substr(symbol.begin, symbol.length), bytes_, ids)) {
        if (options_.unknown_id >= 0 && !after_unknown) ids.push_back(options_.unknown_id);
        after_unknown = true;
        continue;
      }
      after_unknown = false;
    }
  }

 private:
  std::optional<int32_t> find_text(std::string_view token) const {
    const auto id = vocabulary().find(token);
    return id && not_text_[static_cast<size_t>(*id)] ? std::nullopt : id;
  }

  std::vector<double> scores_;
  ScoredBpeOptions options_;
  std::vector<bool> not_text_;
  std::vector<int32_t> bytes_ = std::vector<int32_t>(256, -1);
};

}  // namespace

TokenModelPtr make_bpe(Vocabulary vocabulary, const std::vector<TokenPair>& merges,
                       BpeOptions options) {
  return std::make_unique<Bpe>(std::move(vocabulary), merges, std::move(options));
}

TokenPair parse_merge(const std::string& text) {
  const size_t space = text.find(' ');
  check(space != std::string::npos && space > 0 && space + 1 < text.size() &&
            text.find(' ', space + 1) == std::string::npos,
        ErrorCode::kInvalidArgument, "merges: expected 'left right', got '" + text + "'");
  return {text.substr(0, space), text.substr(space + 1)};
}

TokenModelPtr make_scored_bpe(Vocabulary vocabulary, std::vector<double> scores,
                              ScoredBpeOptions options) {
  return std::make_unique<ScoredBpe>(std::move(vocabulary), std::move(scores), std::move(options));
}

}  // namespace lv::llm
