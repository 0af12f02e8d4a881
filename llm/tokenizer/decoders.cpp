#include "llm/tokenizer/decoders.h"

#include <charconv>

#include "llm/tokenizer/pattern.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/byte_level.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

std::string joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

/// A decoder that looks at each token alone.
class TokenByToken : public TokenDecoder {
 public:
  void apply(std::vector<std::string>& tokens) const final {
    for (size_t i = 0; i < tokens.size(); ++i) apply_next(tokens[i], i == 0);
  }
};

class ByteLevel : public TokenDecoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) apply_next(token, false);
    tokens = {valid_utf8(joined(tokens))};
  }
  void apply_next(std::string& token, bool) const override {
    if (auto bytes = byte_level_decode(token)) token = std::move(*bytes);
  }
};

class Replace : public TokenByToken {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply_next(std::string& token, bool) const override {
    std::string result;
    size_t at = 0;
    for (const auto& [begin, end] : pattern_.find_all(token)) {
      result.append(token, at, begin - at);
      result += content_;
      at = end;
    }
    result.append(token, at);
    token = std::move(result);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class ByteFallback : public TokenDecoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> result;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (valid_utf8(bytes) != bytes) {  // a run that is no text: one mark for each byte
        result.insert(result.end(), bytes.size(), "\uFFFD");
      } else {
        result.push_back(bytes);
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = byte_of_token(token);
      if (byte >= 0) {
        bytes += static_cast<char>(byte);
      } else {
        flush();
        result.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(result);
  }
  void apply_next(std::string& token, bool) const override {
    const int byte = byte_of_token(token);
    if (byte >= 0) token.assign(1, static_cast<char>(byte));
  }
};

class Fuse : public TokenDecoder {
 public:
  void apply(std::vector<std::string>& tokens) const override { tokens = {joined(tokens)}; }
  void apply_next(std::string&, bool) const override {}
};

/// Takes up to `start` and `stop` characters away from the ends of each token; behind Fuse, of the
/// text.
class Strip : public TokenDecoder {
 public:
  Strip(std::string content, int64_t start, int64_t stop, bool fused)
      : content_(std::move(content)), start_(start), stop_(stop), fused_(fused) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) strip(token, true, true);
  }
  void apply_next(std::string& token, bool first) const override {
    strip(token, !fused_ || first, !fused_);
  }

 private:
  void strip(std::string& token, bool left, bool right) const {
    const size_t size = content_.size();
    for (int64_t i = 0; left && i < start_ && token.starts_with(content_); ++i)
      token.erase(0, size);
    for (int64_t i = 0; right && i < stop_ && token.ends_with(content_); ++i)
      token.erase(token.size() - size);
  }
  std::string content_;
  int64_t start_, stop_;
  bool fused_;
};

class Metaspace : public TokenByToken {
 public:
  explicit Metaspace(const Json& description)
      : space_(description.get("replacement", "\u2581")),
        prefix_(description.get("prepend_scheme",
                                description.get("add_prefix_space", true) ? "always" : "never") !=
                "never") {
    check(!space_.empty(), ErrorCode::kInvalidArgument, "Metaspace: expected a replacement");
  }
  void apply_next(std::string& token, bool first) const override {
    std::string result;
    for (size_t at = 0; at < token.size();) {
      if (token.compare(at, space_.size(), space_) == 0) {
        if (!(first && prefix_)) result += ' ';
        at += space_.size();
      } else {
        result += token[at++];
      }
    }
    token = std::move(result);
  }

 private:
  std::string space_;
  bool prefix_;
};

class Chain : public TokenDecoder {
 public:
  explicit Chain(std::vector<TokenDecoderPtr> steps) : steps_(std::move(steps)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& step : steps_) step->apply(tokens);
  }
  void apply_next(std::string& token, bool first) const override {
    for (const auto& step : steps_) step->apply_next(token, first);
  }

 private:
  std::vector<TokenDecoderPtr> steps_;
};

TokenDecoderPtr make(const Json& description, bool& fused) {
  if (description.is_null()) return nullptr;
  const std::string type = description.get("type", "");
  if (type == "ByteLevel") {
    fused = true;
    return std::make_unique<ByteLevel>();
  }
  if (type == "ByteFallback") return std::make_unique<ByteFallback>();
  if (type == "Fuse") {
    fused = true;
    return std::make_unique<Fuse>();
  }
  if (type == "Replace") {
    return std::make_unique<Replace>(make_pattern(description.at("pattern")),
                                     description.at("content").as_string());
  }
  if (type == "Strip") {
    const std::string content = description.at("content").as_string();
    check(!content.empty(), ErrorCode::kInvalidArgument, "Strip: expected a content, got none");
    return std::make_unique<Strip>(content, description.get("start", 0), description.get("stop", 0),
                                   fused);
  }
  if (type == "Metaspace") return std::make_unique<Metaspace>(description);
  if (type == "Sequence") {
    std::vector<TokenDecoderPtr> steps;
    for (const Json& step : description.at("decoders").as_array()) {
      if (auto made = make(step, fused)) steps.push_back(std::move(made));
    }
    return std::make_unique<Chain>(std::move(steps));
  }
  throw Error(ErrorCode::kUnimplemented,
              "decoder: expected Sequence, ByteLevel, ByteFallback, Fuse, Replace, Strip or "
              "Metaspace, got '" +
                  type + "'");
}

}  // namespace

TokenDecoderPtr make_token_decoder(const Json& description) {
  bool fused = false;
  return make(description, fused);
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  const auto [end, status] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return status == std::errc() && end == token.data() + 5 && byte >= 0 ? byte : -1;
}

}  // namespace lv::llm
