#include "llm/template/lexer.h"

#include <algorithm>

#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string with_plain_lines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Cutter {
 public:
  explicit Cutter(std::string_view source) : in_(with_plain_lines(source)) {}

  std::vector<Segment> run() {
    while (at_ < in_.size()) {
      const size_t open = find_open(at_);
      std::string text = in_.substr(at_, open - at_);
      if (open == in_.size()) {
        push_text(std::move(text));
        break;
      }
      const char kind = in_[open + 1];
      const char sign = open + 2 < in_.size() ? in_[open + 2] : '\0';
      strip_before(text, kind, sign);
      line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(at_),
                                           in_.begin() + static_cast<std::ptrdiff_t>(open), '\n'));
      push_text(std::move(text));
      at_ = open + (sign == '-' || sign == '+' ? 3 : 2);
      if (kind == '#') {
        comment();
      } else if (kind == '%' && raw_begins()) {
        raw();
      } else {
        tag(kind);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalidArgument,
                "chat template, line " + std::to_string(line_) + ": " + what);
  }

  size_t find_open(size_t from) const {
    for (size_t i = from; i + 1 < in_.size(); ++i) {
      if (in_[i] == '{' && (in_[i + 1] == '{' || in_[i + 1] == '%' || in_[i + 1] == '#')) return i;
    }
    return in_.size();
  }

  void push_text(std::string text) {
    if (!text.empty()) out_.push_back({Segment::kText, std::move(text), {}, line_});
  }

  void strip_before(std::string& text, char kind, char sign) const {
    if (sign == '-') {
      while (!text.empty() && is_space(text.back())) text.pop_back();
    } else if (sign != '+' && kind != '{') {
      const size_t newline = text.rfind('\n');
      if (newline == std::string::npos && !at_line_start_) return;
      const size_t begin = newline == std::string::npos ? 0 : newline + 1;
      if (std::all_of(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), is_space))
        text.resize(begin);
    }
  }

  /// Behind the end of a tag: what its sign strips, or the one newline that trim_blocks strips.
  void finish_tag(char sign, bool trim_newline) {
    at_line_start_ = false;
    const size_t begin = at_;
    if (sign == '-') {
      while (at_ < in_.size() && is_space(in_[at_])) ++at_;
    } else if (sign != '+' && trim_newline && at_ < in_.size() && in_[at_] == '\n') {
      ++at_;
    }
    if (at_ > begin) at_line_start_ = in_[at_ - 1] == '\n';
    line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(begin),
                                         in_.begin() + static_cast<std::ptrdiff_t>(at_), '\n'));
  }

  void comment() {
    const size_t end = in_.find("#}", at_);
    if (end == std::string::npos) fail("a comment without '#}'");
    line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         in_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    const char sign = end > at_ ? in_[end - 1] : '\0';
    at_ = end + 2;
    finish_tag(sign, true);
  }

  size_t skip_space(size_t i) const {
    while (i < in_.size() && is_space(in_[i])) ++i;
    return i;
  }

  /// Whether `{% word %}` goes on at i, which is behind "{%" and its sign; end is behind "%}".
  bool simple_tag(size_t i, std::string_view word, size_t& end, char& sign) const {
    i = skip_space(i);
    if (in_.compare(i, word.size(), word) != 0) return false;
    i = skip_space(i + word.size());
    sign = i < in_.size() ? in_[i] : '\0';
    if (sign == '-' || sign == '+') ++i;
    if (in_.compare(i, 2, "%}") != 0) return false;
    end = i + 2;
    return true;
  }

  bool raw_begins() const {
    size_t end = 0;
    char sign = 0;
    return simple_tag(at_, "raw", end, sign);
  }

  void raw() {
    size_t end = 0;
    char sign = 0;
    simple_tag(at_, "raw", end, sign);
    at_ = end;
    finish_tag(sign, false);
    for (size_t open = in_.find("{%", at_); open != std::string::npos;
         open = in_.find("{%", open + 2)) {
      const char open_sign = open + 2 < in_.size() ? in_[open + 2] : '\0';
      const size_t word = open + (open_sign == '-' || open_sign == '+' ? 3 : 2);
      if (!simple_tag(word, "endraw", end, sign)) continue;
      std::string text = in_.substr(at_, open - at_);
      strip_before(text, '%', open_sign);
      push_text(std::move(text));
      at_ = end;
      finish_tag(sign, true);
      return;
    }
    fail("'raw' without 'endraw'");
  }

  void tag(char kind) {
    Segment segment{kind == '{' ? Segment::kExpression : Segment::kStatement, {}, {}, line_};
    const std::string_view close = kind == '{' ? "}}" : "%}";
    int depth = 0;
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= in_.size()) fail("a tag without its end");
      const char sign = in_[at_];
      const bool signed_close =
          (sign == '-' || (sign == '+' && kind == '%')) && in_.compare(at_ + 1, 2, close) == 0;
      if (depth == 0 && (signed_close || in_.compare(at_, 2, close) == 0)) {
        at_ += signed_close ? 3 : 2;
        segment.tokens.push_back({});
        out_.push_back(std::move(segment));
        finish_tag(signed_close ? sign : '\0', kind == '%');
        return;
      }
      segment.tokens.push_back(token());
      const Token& last = segment.tokens.back();
      if (last.kind != Token::kOperator) continue;
      if (last.text == "(" || last.text == "[" || last.text == "{") ++depth;
      if (last.text == ")" || last.text == "]" || last.text == "}") --depth;
    }
  }

  Token token() {
    const char c = in_[at_];
    if (c == '\'' || c == '"') return string_token();
    const size_t begin = at_;
    if (starts_name(c)) {
      while (at_ < in_.size() && (starts_name(in_[at_]) || is_digit(in_[at_]))) ++at_;
      return {Token::kName, in_.substr(begin, at_ - begin)};
    }
    if (is_digit(c)) return number_token();
    for (const char* two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (in_.compare(at_, 2, two) != 0) continue;
      at_ += 2;
      return {Token::kOperator, two};
    }
    if (std::string_view("+-*/%~<>=()[]{}.,:|").find(c) == std::string_view::npos)
      fail(std::string("unexpected '") + c + "'");
    ++at_;
    return {Token::kOperator, std::string(1, c)};
  }

  Token number_token() {
    const auto digits = [&] {
      std::string text;
      for (; at_ < in_.size() && (is_digit(in_[at_]) || in_[at_] == '_'); ++at_) {
        if (in_[at_] != '_') text += in_[at_];
      }
      return text;
    };
    Token number{Token::kInt, digits()};
    if (at_ + 1 < in_.size() && in_[at_] == '.' && is_digit(in_[at_ + 1])) {
      ++at_;
      number = {Token::kFloat, number.text + "." + digits()};
    }
    if (at_ + 1 < in_.size() && (in_[at_] == 'e' || in_[at_] == 'E')) {
      const size_t sign = in_[at_ + 1] == '-' || in_[at_ + 1] == '+' ? 1 : 0;
      if (at_ + 1 + sign < in_.size() && is_digit(in_[at_ + 1 + sign])) {
        const std::string mark = in_.substr(at_, 1 + sign);
        at_ += 1 + sign;
        number = {Token::kFloat, number.text + mark + digits()};
      }
    }
    return number;
  }

  Token string_token() {
    const char quote = in_[at_++];
    std::string text;
    while (at_ < in_.size() && in_[at_] != quote) {
      if (in_[at_] == '\\' && at_ + 1 < in_.size()) {
        ++at_;
        escape(text);
      } else {
        if (in_[at_] == '\n') ++line_;
        text += in_[at_++];
      }
    }
    if (at_ == in_.size()) fail("a string without its end");
    ++at_;
    return {Token::kString, text};
  }

  /// At the character behind a backslash.
  void escape(std::string& text) {
    static constexpr std::string_view kFrom = "ntrabfv0\\'\"", kTo("\n\t\r\a\b\f\v\0\\'\"", 11);
    const char c = in_[at_++];
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      const std::string hex = in_.substr(at_, digits);
      if (hex.size() < digits || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos)
        fail("a broken escape in a string");
      const unsigned long point = std::stoul(hex, nullptr, 16);
      if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
        fail("an escape of no character");
      append_utf8(text, static_cast<char32_t>(point));
      at_ += digits;
    } else if (c == '\n') {
      ++line_;  // the line goes on
    } else if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      text += kTo[known];
    } else {
      text += '\\';
      text += c;
    }
  }

  std::string in_;
  size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Segment> out_;
};

}  // namespace

std::vector<Segment> cut_template(std::string_view source) { return Cutter(source).run(); }

}  // namespace lv::llm
