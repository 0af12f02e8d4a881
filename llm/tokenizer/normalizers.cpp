#include "llm/tokenizer/normalizers.h"

#include <vector>

#include "llm/tokenizer/charsmap.h"
#include "llm/tokenizer/pattern.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    check(digit != std::string_view::npos, ErrorCode::kInvalidArgument,
          "precompiled_charsmap: expected base64, got another character");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

class Chain : public Normalizer {
 public:
  explicit Chain(const Json& description) {
    for (const Json& step : description.at("normalizers").as_array()) {
      if (auto made = make_normalizer(step)) steps_.push_back(std::move(made));
    }
  }
  void apply(MarkedText& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(MarkedText& text) const override {
    if (text.text.empty()) return;
    text.allowed.insert(0, prefix_.size(), text.allowed[0]);
    text.text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(MarkedText& text) const override {
    const auto found = pattern_.find_all(text.text);
    if (found.empty()) return;
    MarkedText result;
    result.first = text.first;
    size_t at = 0;
    const auto keep = [&](size_t end) {
      result.text.append(text.text, at, end - at);
      result.allowed.append(text.allowed, at, end - at);
    };
    for (const auto& [begin, end] : found) {
      keep(begin);
      result.append(content_, text.mark(begin, end));
      at = end;
    }
    keep(text.text.size());
    text = std::move(result);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

/// Rewrites runs of one mark each; a run is longer where the rewriting looks across its end.
class RunByRun : public Normalizer {
 public:
  void apply(MarkedText& text) const final {
    MarkedText result;
    result.first = text.first;
    const size_t size = text.text.size();
    for (size_t begin = 0; begin < size;) {
      size_t end = begin;
      while (end < size) {
        const char mark = text.allowed[end];
        while (end < size && text.allowed[end] == mark) ++end;
        size_t next = end;
        if (end == size || may_cut(next_character(text.text, next))) break;
        end = next;
      }
      result.append(rewrite(std::string_view(text.text).substr(begin, end - begin)),
                    text.mark(begin, end));
      begin = end;
    }
    text = std::move(result);
  }

 private:
  virtual std::string rewrite(std::string_view text) const = 0;
  virtual bool may_cut(char32_t /*before*/) const { return true; }
};

class ToNormalForm : public RunByRun {
 public:
  explicit ToNormalForm(NormalForm form) : form_(form) {}

 private:
  std::string rewrite(std::string_view text) const override { return normal_form(text, form_); }
  bool may_cut(char32_t before) const override { return starts_anew(before, form_); }
  NormalForm form_;
};

class Lowercase : public RunByRun {
  std::string rewrite(std::string_view text) const override { return lower_case(text); }
};

/// SentencePiece's table of characters as the tokenizers library applies it: a short grapheme
/// cluster as a whole by the shortest entry that it begins with, what is left of it is gone;
/// otherwise character by character.
class Precompiled : public Normalizer {
 public:
  explicit Precompiled(std::string_view base64) : charsmap_(from_base64(base64)) {}
  void apply(MarkedText& text) const override {
    MarkedText result;
    result.first = text.first;
    const std::string_view all = text.text;
    size_t begin = 0;
    for (const size_t end : grapheme_ends(all)) {
      const std::string_view cluster = all.substr(begin, end - begin);
      const auto whole = cluster.size() < kLongCluster ? charsmap_.shortest(cluster) : std::nullopt;
      if (whole) {
        result.append(whole->replacement, text.mark(begin, end));
      } else {
        append_characters(cluster, text, begin, result);
      }
      begin = end;
    }
    text = std::move(result);
  }

 private:
  static constexpr size_t kLongCluster = 6;  // bytes

  void append_characters(std::string_view cluster, const MarkedText& text, size_t begin,
                         MarkedText& result) const {
    for (size_t i = 0; i < cluster.size();) {
      const size_t at = i;
      next_character(cluster, i);
      const std::string_view character = cluster.substr(at, i - at);
      const auto match = charsmap_.shortest(character);
      result.append(match ? match->replacement : character, text.mark(begin + at, begin + i));
    }
  }

  Charsmap charsmap_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(MarkedText& text) const override {
    size_t begin = 0, end = text.text.size();
    for (size_t i = 0; left_ && i < end; begin = i) {
      if (!is_white_space(next_character(text.text, i))) break;
    }
    if (right_) end = std::max(begin, last_text(text.text));
    text.first = text.first && begin == 0;
    text.text = text.text.substr(begin, end - begin);
    text.allowed = text.allowed.substr(begin, end - begin);
  }

 private:
  /// Behind the last character that is no space.
  static size_t last_text(std::string_view text) {
    size_t last = 0;
    for (size_t i = 0; i < text.size();) {
      if (!is_white_space(next_character(text, i))) last = i;
    }
    return last;
  }
  bool left_, right_;
};

}  // namespace

NormalizerPtr make_normalizer(const Json& description) {
  if (description.is_null()) return nullptr;
  const std::string type = description.get("type", "");
  if (type == "Sequence") return std::make_unique<Chain>(description);
  if (type == "NFC") return std::make_unique<ToNormalForm>(NormalForm::kNfc);
  if (type == "NFD") return std::make_unique<ToNormalForm>(NormalForm::kNfd);
  if (type == "NFKC") return std::make_unique<ToNormalForm>(NormalForm::kNfkc);
  if (type == "NFKD") return std::make_unique<ToNormalForm>(NormalForm::kNfkd);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "Prepend")
    return std::make_unique<Prepend>(valid_utf8(description.at("prepend").as_string()));
  if (type == "Replace") {
    return std::make_unique<Replace>(make_pattern(description.at("pattern")),
                                     valid_utf8(description.at("content").as_string()));
  }
  if (type == "Strip") {
    return std::make_unique<Strip>(description.get("strip_left", true),
                                   description.get("strip_right", true));
  }
  if (type == "Precompiled")
    return std::make_unique<Precompiled>(description.at("precompiled_charsmap").as_string());
  throw Error(ErrorCode::kUnimplemented,
              "normalizer: expected Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, "
              "Strip or Precompiled, got '" +
                  type + "'");
}

}  // namespace lv::llm
