#include "llm/tokenizer/charsmap.h"
#include "llm/tokenizer/sentence_piece.h"
#include "llm/tokenizer/unicode.h"

namespace lv::llm {
namespace {

class SentencePieceNormalizer : public Normalizer {
 public:
  explicit SentencePieceNormalizer(SentencePieceRules rules)
      : rules_(std::move(rules)), space_(rules_.visible_spaces ? "\u2581" : " ") {
    if (!rules_.charsmap.empty()) charsmap_.emplace(rules_.charsmap);
    rules_.charsmap.clear();
  }

  void apply(MarkedText& text) const override {
    MarkedText result;
    result.first = text.first;
    const std::string_view all = text.text;
    size_t at = 0;
    while (rules_.remove_extra_spaces && at < all.size()) {
      const Charsmap::Match match = match_at(all, at);
      if (match.replacement != " ") break;
      at += match.length;
    }
    bool after_space = rules_.remove_extra_spaces;
    if (at < all.size() && rules_.begin_with_space && (text.first || !rules_.begin_once))
      result.append(space_, text.allowed[at]);
    while (at < all.size()) {
      auto [length, replacement] = match_at(all, at);
      while (after_space && replacement.starts_with(' ')) replacement.remove_prefix(1);
      if (!replacement.empty()) {
        append(replacement, text.mark(at, at + length), result);
        after_space = rules_.remove_extra_spaces && replacement.ends_with(' ');
      }
      at += length;
    }
    while (rules_.remove_extra_spaces && result.text.ends_with(space_)) {
      result.text.resize(result.text.size() - space_.size());
      result.allowed.resize(result.text.size());
    }
    text = std::move(result);
  }

 private:
  /// What stands at text[at], and what becomes of it.
  Charsmap::Match match_at(std::string_view text, size_t at) const {
    if (charsmap_) {
      if (const auto match = charsmap_->longest(text.substr(at))) return *match;
    }
    size_t end = at;
    next_character(text, end);
    return {end - at, text.substr(at, end - at)};
  }

  void append(std::string_view replacement, char mark, MarkedText& result) const {
    for (const char c : replacement)
      result.append(c == ' ' ? std::string_view(space_) : std::string_view(&c, 1), mark);
  }

  SentencePieceRules rules_;
  std::string space_;
  std::optional<Charsmap> charsmap_;
};

}  // namespace

NormalizerPtr make_sentence_piece_normalizer(SentencePieceRules rules) {
  return std::make_unique<SentencePieceNormalizer>(std::move(rules));
}

}  // namespace lv::llm
