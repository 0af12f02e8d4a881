#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lv::llm {

/// A word of a template's expression or statement.
struct Token {
  enum Kind { kName, kString, kInt, kFloat, kOperator, kEnd };
  Kind kind = kEnd;
  std::string text;  // strings without quotes and escapes
};

/// A stretch of a template: literal text, {{ expression }} or {% statement %}.
struct Segment {
  enum Kind { kText, kExpression, kStatement };
  Kind kind = kText;
  std::string text;           // of kText
  std::vector<Token> tokens;  // of the others; ends with kEnd
  int line = 1;
};

/// Cuts a template into segments, without comments; white space is stripped as Jinja does with
/// trim_blocks and lstrip_blocks on. Throws kInvalidArgument that names the line.
std::vector<Segment> cut_template(std::string_view source);

}  // namespace lv::llm
