#include "llm/tokenizer/unigram.h"

#include <algorithm>
#include <cmath>

#include "llm/tokenizer/byte_trie.h"
#include "llm/tokenizer/unicode.h"

namespace lv::llm {
namespace {

constexpr double kUnknownPenalty = 10;  // below the worst token

class Unigram : public TokenModel {
 public:
  Unigram(Vocabulary vocabulary, std::vector<double> scores, UnigramOptions options)
      : TokenModel(std::move(vocabulary)),
        scores_(std::move(scores)),
        options_(std::move(options)),
        not_text_(marked_ids(options_.not_text, this->vocabulary().size())) {
    check(static_cast<int64_t>(scores_.size()) == this->vocabulary().size() && !scores_.empty(),
          ErrorCode::kInvalidArgument, "Unigram: expected a score for each of at least one token");
    check(options_.unknown_id < this->vocabulary().size(), ErrorCode::kInvalidArgument,
          "unk_id: expected less than " + std::to_string(this->vocabulary().size()) + ", got " +
              std::to_string(options_.unknown_id));
    for (const double score : scores_) {
      check(std::isfinite(score), ErrorCode::kInvalidArgument,
            "Unigram: expected finite scores, got another");
    }
    unknown_score_ = rounded(*std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty);
    for (int64_t id = 0; id < this->vocabulary().size(); ++id) {
      const std::string& token = *this->vocabulary().token(id);
      if (!token.empty() && !not_text_[static_cast<size_t>(id)])
        trie_.add(token, static_cast<int32_t>(id));
    }
    if (options_.byte_fallback) bytes_ = byte_tokens(this->vocabulary());
  }

  void tokenize(std::string_view word, std::vector<int64_t>& ids) const override {
    const std::vector<Step> steps = best_steps(word);
    std::vector<std::pair<size_t, size_t>> pieces;  // from the end
    bool in_unknown = false;
    for (size_t end = word.size(); end > 0; end = steps[end].begin) {
      const bool unknown = steps[end].id == options_.unknown_id && options_.unknown_id >= 0;
      if (unknown && in_unknown) {
        pieces.back().first = steps[end].begin;
      } else {
        pieces.emplace_back(steps[end].begin, end);
      }
      in_unknown = unknown;
    }
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece)
      append(word.substr(piece->first, piece->second - piece->first), ids);
  }

 private:
  /// How the best split of word[0, end) ends.
  struct Step {
    double score = 0;
    size_t begin = 0;
    int32_t id = -1;
    bool reached = false;
  };

  /// SentencePiece's precision, where it is asked for.
  double rounded(double score) const {
    return options_.float_sums ? static_cast<float>(score) : score;
  }

  void improve(Step& step, double score, size_t begin, int32_t id) const {
    score = rounded(score);
    if (!step.reached || score > step.score) step = {score, begin, id, true};
  }

  std::vector<Step> best_steps(std::string_view word) const {
    std::vector<Step> steps(word.size() + 1);
    for (size_t begin = 0; begin < word.size();) {
      size_t next = begin;
      next_character(word, next);
      const double score = steps[begin].score;
      bool single = false;
      int32_t node = ByteTrie::kRoot;
      for (size_t end = begin; end < word.size();) {
        node = trie_.child(node, word[end++]);
        if (node < 0) break;
        const int32_t id = trie_.value(node);
        if (id < 0) continue;
        improve(steps[end], score + scores_[static_cast<size_t>(id)], begin, id);
        single = single || end == next;
      }
      if (!single) {
        check(options_.unknown_id >= 0, ErrorCode::kInvalidArgument,
              "text: a character is not in the vocabulary, which has no unknown token");
        improve(steps[next], score + unknown_score_, begin, options_.unknown_id);
      }
      begin = next;
    }
    return steps;
  }

  void append(std::string_view piece, std::vector<int64_t>& ids) const {
    const auto id = vocabulary().find(piece);
    if (id && !not_text_[static_cast<size_t>(*id)]) {
      ids.push_back(*id);
    } else if (!options_.byte_fallback || !append_bytes(piece, bytes_, ids)) {
      ids.push_back(options_.unknown_id);
    }
  }

  std::vector<double> scores_;
  UnigramOptions options_;
  std::vector<bool> not_text_;
  double unknown_score_ = 0;
  ByteTrie trie_;
  std::vector<int32_t> bytes_;
};

}  // namespace

TokenModelPtr make_unigram(Vocabulary vocabulary, std::vector<double> scores,
                           UnigramOptions options) {
  return std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), std::move(options));
}

}  // namespace lv::llm
