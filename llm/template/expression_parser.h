#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "llm/template/lexer.h"
#include "llm/template/syntax.h"

namespace lv::llm {

/// Reads the expressions of one tag. Precedence, lowest first: ternary, or, and, not, comparisons,
/// + -, ~, * / // %, **, sign, then what follows a value: calls, items, filters and tests.
class ExpressionParser {
 public:
  /// Borrows the segment.
  explicit ExpressionParser(const Segment& segment) : segment_(segment) {}

  ExpressionPtr expression(bool with_choice = true);
  /// Also `a, b` without parentheses.
  ExpressionPtr expression_or_tuple(bool with_choice = true);
  /// The filters behind a value that comes from elsewhere: `filter | filter`.
  ExpressionPtr filters(ExpressionPtr value);
  std::vector<std::string> targets();
  std::vector<Parameter> parameters();

  const Token& peek(size_t ahead = 0) const;
  Token take();
  bool is_operator(std::string_view text, size_t ahead = 0) const;
  bool is_name(std::string_view text, size_t ahead = 0) const;
  bool take_operator(std::string_view text);
  bool take_name(std::string_view text);
  void expect_operator(std::string_view text);
  std::string expect_name();
  void expect_end();
  int line() const { return segment_.line; }
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Guard;
  ExpressionPtr make(Expression::Kind kind, std::vector<ExpressionPtr> parts,
                     std::string name = {}) const;
  ExpressionPtr finish(std::unique_ptr<Expression> made) const;
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  bool take_comparison(std::vector<std::string>& operators);
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr sign(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr literal_name();
  ExpressionPtr number();
  ExpressionPtr parenthesis();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr suffixes(ExpressionPtr value);
  ExpressionPtr dot(ExpressionPtr object);
  ExpressionPtr subscript(ExpressionPtr object);
  ExpressionPtr filter_chain(ExpressionPtr value);
  ExpressionPtr filter(ExpressionPtr value);
  ExpressionPtr test(ExpressionPtr value);
  void arguments(Expression& call);

  const Segment& segment_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace lv::llm
