#include "llm/tokenizer/pre_tokenizers.h"

#include <algorithm>

#include "llm/tokenizer/pattern.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/byte_level.h"
#include "pipeline/base/error.h"

namespace lv::llm {

const char* const kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

/// What becomes of the matches of a pattern.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct Span {
  size_t begin, end;
  bool match;
};

/// Matches and what lies between them; `invert` exchanges the two.
std::vector<Span> spans_of(const std::vector<std::pair<size_t, size_t>>& matches, size_t size,
                           bool invert) {
  std::vector<Span> spans;
  size_t at = 0;
  for (const auto& [begin, end] : matches) {
    if (at != begin) spans.push_back({at, begin, invert});
    spans.push_back({begin, end, !invert});
    at = end;
  }
  if (at != size) spans.push_back({at, size, invert});
  return spans;
}

/// Whether a span joins the one before it (or after it, for kMergedWithNext).
bool joins(Behavior behavior, bool match, bool neighbour_match) {
  if (behavior == Behavior::kContiguous) return match == neighbour_match;
  return match && !neighbour_match;
}

void merge_spans(std::vector<Span>& spans, Behavior behavior) {
  if (behavior == Behavior::kIsolated) return;
  if (behavior == Behavior::kRemoved) {
    std::erase_if(spans, [](const Span& span) { return span.match; });
    return;
  }
  const bool backwards = behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(spans.begin(), spans.end());
  std::vector<Span> merged;
  bool previous = false;
  for (const Span& span : spans) {
    if (!merged.empty() && joins(behavior, span.match, previous)) {
      merged.back().begin = std::min(merged.back().begin, span.begin);
      merged.back().end = std::max(merged.back().end, span.end);
    } else {
      merged.push_back(span);
    }
    previous = span.match;
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  spans = std::move(merged);
}

/// Replaces each word by its non-empty parts, which `cut` returns as spans.
template <class Cut>
void split_words(Words& words, Cut cut) {
  Words result;
  result.reserve(words.size());
  for (const Word& word : words) {
    for (const Span& span : cut(word.text)) {
      if (span.begin == span.end) continue;
      result.push_back(
          {word.text.substr(span.begin, span.end - span.begin), word.first && span.begin == 0});
    }
  }
  words = std::move(result);
}

void split_by(Words& words, const Pattern& pattern, Behavior behavior, bool invert = false) {
  split_words(words, [&](const std::string& text) {
    auto spans = spans_of(pattern.find_all(text), text.size(), invert);
    merge_spans(spans, behavior);
    return spans;
  });
}

void split_at(Words& words, bool (*is_match)(char32_t), Behavior behavior) {
  split_words(words, [&](const std::string& text) {
    std::vector<std::pair<size_t, size_t>> matches;
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i;
      if (is_match(next_character(text, i))) matches.emplace_back(begin, i);
    }
    auto spans = spans_of(matches, text.size(), false);
    merge_spans(spans, behavior);
    return spans;
  });
}

Behavior behavior_of(const Json& description, const char* fallback) {
  const std::string name = description.get("behavior", fallback);
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  throw Error(ErrorCode::kInvalidArgument,
              "pre_tokenizer: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
              "Contiguous as behavior, got '" +
                  name + "'");
}

class Chain : public PreTokenizer {
 public:
  explicit Chain(const Json& description) {
    for (const Json& step : description.at("pretokenizers").as_array()) {
      if (auto made = make_pre_tokenizer(step)) steps_.push_back(std::move(made));
    }
  }
  void apply(Words& words) const override {
    for (const auto& step : steps_) step->apply(words);
  }

 private:
  std::vector<PreTokenizerPtr> steps_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool prefix_space, bool split)
      : prefix_space_(prefix_space), split_(split), pattern_(Regex(kGpt2Pattern)) {}
  void apply(Words& words) const override {
    if (prefix_space_) {
      for (Word& word : words) {
        if (word.text[0] != ' ') word.text.insert(0, 1, ' ');
      }
    }
    if (split_) split_by(words, pattern_, Behavior::kIsolated);
    for (Word& word : words) word.text = byte_level_encode(word.text);
  }

 private:
  bool prefix_space_, split_;
  Pattern pattern_;
};

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Words& words) const override { split_by(words, pattern_, behavior_, invert_); }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class SplitAt : public PreTokenizer {
 public:
  SplitAt(bool (*is_match)(char32_t), Behavior behavior)
      : is_match_(is_match), behavior_(behavior) {}
  void apply(Words& words) const override { split_at(words, is_match_, behavior_); }

 private:
  bool (*is_match_)(char32_t);
  Behavior behavior_;
};

/// Runs of word characters, and of what is neither that nor white space.
class Whitespace : public PreTokenizer {
 public:
  void apply(Words& words) const override {
    split_words(words, [](const std::string& text) {
      std::vector<Span> spans;
      for (size_t i = 0; i < text.size();) {
        const size_t begin = i;
        const char32_t c = next_character(text, i);
        if (is_white_space(c)) continue;
        const bool word = is_word(c);
        if (!spans.empty() && spans.back().end == begin && spans.back().match == word) {
          spans.back().end = i;
        } else {
          spans.push_back({begin, i, word});
        }
      }
      return spans;
    });
  }
};

/// SentencePiece's way: spaces become a visible character and stay with the word that follows.
class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const Json& description)
      : space_(description.get("replacement", "\u2581")), split_(description.get("split", true)) {
    const bool prefix = description.get("add_prefix_space", true);
    scheme_ = description.get("prepend_scheme", prefix ? "always" : "never");
    check(scheme_ == "always" || scheme_ == "never" || scheme_ == "first",
          ErrorCode::kInvalidArgument,
          "Metaspace: expected always, first or never as prepend_scheme, got '" + scheme_ + "'");
  }
  void apply(Words& words) const override {
    for (Word& word : words) {
      std::string text;
      for (const char c : word.text) c == ' ' ? text += space_ : text += c;
      const bool wanted = scheme_ == "always" || (scheme_ == "first" && word.first);
      if (wanted && text.compare(0, space_.size(), space_) != 0) text.insert(0, space_);
      word.text = std::move(text);
    }
    if (split_) split_by(words, Pattern(space_), Behavior::kMergedWithNext);
  }

 private:
  std::string space_;
  bool split_;
  std::string scheme_;
};

PreTokenizerPtr make_split(const Json& description) {
  return std::make_unique<Split>(make_pattern(description.at("pattern")),
                                 behavior_of(description, "Isolated"),
                                 description.get("invert", false));
}

}  // namespace

PreTokenizerPtr make_pre_tokenizer(const Json& description) {
  if (description.is_null()) return nullptr;
  const std::string type = description.get("type", "");
  if (type == "Sequence") return std::make_unique<Chain>(description);
  if (type == "ByteLevel") {
    return std::make_unique<ByteLevel>(description.get("add_prefix_space", true),
                                       description.get("use_regex", true));
  }
  if (type == "Split") return make_split(description);
  if (type == "Digits") {
    return std::make_unique<SplitAt>(is_numeric, description.get("individual_digits", false)
                                                     ? Behavior::kIsolated
                                                     : Behavior::kContiguous);
  }
  if (type == "Punctuation")
    return std::make_unique<SplitAt>(is_punctuation, behavior_of(description, "Isolated"));
  if (type == "WhitespaceSplit")
    return std::make_unique<SplitAt>(is_white_space, Behavior::kRemoved);
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "Metaspace") return std::make_unique<Metaspace>(description);
  throw Error(ErrorCode::kUnimplemented,
              "pre_tokenizer: expected Sequence, ByteLevel, Split, Digits, Punctuation, "
              "Whitespace, WhitespaceSplit or Metaspace, got '" +
                  type + "'");
}

}  // namespace lv::llm
