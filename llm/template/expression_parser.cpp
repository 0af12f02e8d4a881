#include "llm/template/expression_parser.h"

#include <algorithm>
#include <charconv>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int kMaxDepth = 150;

std::vector<ExpressionPtr> list_of(ExpressionPtr a) {
  std::vector<ExpressionPtr> all;
  all.push_back(std::move(a));
  return all;
}
std::vector<ExpressionPtr> list_of(ExpressionPtr a, ExpressionPtr b) {
  auto all = list_of(std::move(a));
  all.push_back(std::move(b));
  return all;
}

}  // namespace

struct ExpressionParser::Guard {
  explicit Guard(ExpressionParser& parser) : depth(parser.depth_) {
    if (++depth > kMaxDepth) parser.fail("expressions are nested too deep");
  }
  ~Guard() { --depth; }
  int& depth;
};

void ExpressionParser::fail(const std::string& what) const {
  throw Error(ErrorCode::kInvalidArgument,
              "chat template, line " + std::to_string(segment_.line) + ": " + what);
}

const Token& ExpressionParser::peek(size_t ahead) const {
  return segment_.tokens[std::min(at_ + ahead, segment_.tokens.size() - 1)];
}
Token ExpressionParser::take() {
  Token token = peek();
  if (at_ + 1 < segment_.tokens.size()) ++at_;
  return token;
}
bool ExpressionParser::is_operator(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == Token::kOperator && peek(ahead).text == text;
}
bool ExpressionParser::is_name(std::string_view text, size_t ahead) const {
  return peek(ahead).kind == Token::kName && peek(ahead).text == text;
}
bool ExpressionParser::take_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  take();
  return true;
}
bool ExpressionParser::take_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}
void ExpressionParser::expect_operator(std::string_view text) {
  if (!take_operator(text)) fail("expected '" + std::string(text) + "', got '" + peek().text + "'");
}
std::string ExpressionParser::expect_name() {
  if (peek().kind != Token::kName) fail("expected a name, got '" + peek().text + "'");
  return take().text;
}
void ExpressionParser::expect_end() {
  if (peek().kind != Token::kEnd) fail("expected the end of the tag, got '" + peek().text + "'");
}

ExpressionPtr ExpressionParser::finish(std::unique_ptr<Expression> made) const {
  made->line = segment_.line;
  for (const auto& part : made->parts) {
    if (part) made->depth = std::max(made->depth, 1 + part->depth);
  }
  for (const auto& [name, part] : made->named) made->depth = std::max(made->depth, 1 + part->depth);
  if (made->depth > kMaxDepth) fail("expressions are nested too deep");
  return made;
}

ExpressionPtr ExpressionParser::make(Expression::Kind kind, std::vector<ExpressionPtr> parts,
                                     std::string name) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->parts = std::move(parts);
  made->name = std::move(name);
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::expression(bool with_choice) {
  const Guard guard(*this);
  ExpressionPtr value = disjunction();
  while (with_choice && take_name("if")) {
    auto parts = list_of(disjunction(), std::move(value));
    parts.push_back(take_name("else") ? expression() : nullptr);
    value = make(Expression::kChoice, std::move(parts));
  }
  return value;
}

ExpressionPtr ExpressionParser::expression_or_tuple(bool with_choice) {
  ExpressionPtr first = expression(with_choice);
  if (!is_operator(",")) return first;
  auto items = list_of(std::move(first));
  while (take_operator(",")) {
    if (peek().kind == Token::kEnd || is_operator(")")) break;
    items.push_back(expression(with_choice));
  }
  return make(Expression::kTuple, std::move(items));
}

ExpressionPtr ExpressionParser::disjunction() {
  ExpressionPtr left = conjunction();
  while (take_name("or")) left = make(Expression::kOr, list_of(std::move(left), conjunction()));
  return left;
}
ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr left = negation();
  while (take_name("and")) left = make(Expression::kAnd, list_of(std::move(left), negation()));
  return left;
}
ExpressionPtr ExpressionParser::negation() {
  const Guard guard(*this);
  if (take_name("not")) return make(Expression::kNot, list_of(negation()));
  return comparison();
}

bool ExpressionParser::take_comparison(std::vector<std::string>& operators) {
  for (const char* sign : {"==", "!=", "<=", ">=", "<", ">"}) {
    if (take_operator(sign)) {
      operators.push_back(sign);
      return true;
    }
  }
  if (take_name("in")) {
    operators.push_back("in");
    return true;
  }
  if (is_name("not") && is_name("in", 1)) {
    take(), take();
    operators.push_back("not in");
    return true;
  }
  return false;
}

ExpressionPtr ExpressionParser::comparison() {
  ExpressionPtr first = sum();
  std::vector<std::string> operators;
  if (!take_comparison(operators)) return first;
  auto made = std::make_unique<Expression>();
  made->kind = Expression::kCompare;
  made->parts = list_of(std::move(first), sum());
  while (take_comparison(operators)) made->parts.push_back(sum());
  made->operators = std::move(operators);
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  while (is_operator("+") || is_operator("-")) {
    std::string sign = take().text;
    left = make(Expression::kBinary, list_of(std::move(left), concatenation()), std::move(sign));
  }
  return left;
}
ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr first = product();
  if (!is_operator("~")) return first;
  auto parts = list_of(std::move(first));
  while (take_operator("~")) parts.push_back(product());
  return make(Expression::kConcat, std::move(parts));
}
ExpressionPtr ExpressionParser::product() {
  ExpressionPtr left = power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    std::string sign = take().text;
    left = make(Expression::kBinary, list_of(std::move(left), power()), std::move(sign));
  }
  return left;
}
ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = sign(true);
  while (take_operator("**"))
    left = make(Expression::kBinary, list_of(std::move(left), sign(true)), "**");
  return left;
}

ExpressionPtr ExpressionParser::sign(bool with_filters) {
  const Guard guard(*this);
  ExpressionPtr value;
  if (take_operator("-")) {
    value = make(Expression::kNegate, list_of(sign(false)));
  } else if (take_operator("+")) {
    value = make(Expression::kPlus, list_of(sign(false)));
  } else {
    value = primary();
  }
  value = suffixes(std::move(value));
  return with_filters ? filter_chain(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  switch (peek().kind) {
    case Token::kName:
      return literal_name();
    case Token::kString: {
      std::string text = take().text;
      while (peek().kind == Token::kString) text += take().text;
      auto made = std::make_unique<Expression>();
      made->value = Value::of(text);
      return finish(std::move(made));
    }
    case Token::kInt:
    case Token::kFloat:
      return number();
    case Token::kOperator:
      if (is_operator("(")) return parenthesis();
      if (is_operator("[")) return list();
      if (is_operator("{")) return dict();
      break;
    case Token::kEnd:
      fail("expected a value, got the end of the tag");
  }
  fail("expected a value, got '" + peek().text + "'");
}

ExpressionPtr ExpressionParser::literal_name() {
  const std::string name = take().text;
  auto made = std::make_unique<Expression>();
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    made->value = Value::of(name[0] == 't' || name[0] == 'T');
  } else if (name == "none" || name == "None") {
    made->value = Value::none();
  } else {
    made->kind = Expression::kName;
    made->name = name;
  }
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::number() {
  const Token token = take();
  auto made = std::make_unique<Expression>();
  const char* end = token.text.data() + token.text.size();
  if (token.kind == Token::kFloat) {
    double x = 0;
    if (std::from_chars(token.text.data(), end, x).ec != std::errc()) fail("a number out of range");
    made->value = Value::of(x);
  } else {
    int64_t x = 0;
    if (std::from_chars(token.text.data(), end, x).ec != std::errc()) fail("a number out of range");
    made->value = Value::of(x);
  }
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::parenthesis() {
  expect_operator("(");
  if (take_operator(")")) return make(Expression::kTuple, {});
  ExpressionPtr value = expression_or_tuple();
  expect_operator(")");
  return value;
}

ExpressionPtr ExpressionParser::list() {
  expect_operator("[");
  std::vector<ExpressionPtr> items;
  while (!take_operator("]")) {
    if (!items.empty()) expect_operator(",");
    if (take_operator("]")) break;
    items.push_back(expression());
  }
  return make(Expression::kList, std::move(items));
}

ExpressionPtr ExpressionParser::dict() {
  expect_operator("{");
  std::vector<ExpressionPtr> parts;
  while (!take_operator("}")) {
    if (!parts.empty()) expect_operator(",");
    if (take_operator("}")) break;
    parts.push_back(expression());
    expect_operator(":");
    parts.push_back(expression());
  }
  return make(Expression::kDict, std::move(parts));
}

ExpressionPtr ExpressionParser::suffixes(ExpressionPtr value) {
  while (true) {
    if (is_operator(".")) {
      value = dot(std::move(value));
    } else if (is_operator("[")) {
      value = subscript(std::move(value));
    } else if (is_operator("(")) {
      auto call = std::make_unique<Expression>();
      call->kind = Expression::kCall;
      call->parts.push_back(std::move(value));
      arguments(*call);
      value = finish(std::move(call));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::dot(ExpressionPtr object) {
  expect_operator(".");
  if (peek().kind == Token::kInt)
    return make(Expression::kItem, list_of(std::move(object), number()));
  return make(Expression::kAttribute, list_of(std::move(object)), expect_name());
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr object) {
  expect_operator("[");
  ExpressionPtr bounds[3];
  int colons = 0;
  while (!is_operator("]")) {
    if (take_operator(":")) {
      if (++colons > 2) fail("a slice has at most three parts");
    } else if (bounds[colons]) {
      fail("expected ']', got '" + peek().text + "'");
    } else {
      bounds[colons] = expression();
    }
  }
  expect_operator("]");
  auto parts = list_of(std::move(object));
  if (colons == 0) {
    if (!bounds[0]) fail("expected an index, got ']'");
    parts.push_back(std::move(bounds[0]));
    return make(Expression::kItem, std::move(parts));
  }
  for (auto& bound : bounds) parts.push_back(std::move(bound));
  return make(Expression::kSlice, std::move(parts));
}

void ExpressionParser::arguments(Expression& call) {
  expect_operator("(");
  bool first = true;
  while (!take_operator(")")) {
    if (!first) expect_operator(",");
    first = false;
    if (take_operator(")")) break;
    if (is_operator("*") || is_operator("**"))
      throw Error(ErrorCode::kUnimplemented, "chat template, line " + std::to_string(line()) +
                                                 ": arguments by '*' are not understood");
    if (peek().kind == Token::kName && is_operator("=", 1)) {
      std::string name = take().text;
      take();
      call.named.emplace_back(std::move(name), expression());
    } else {
      call.parts.push_back(expression());
    }
  }
}

ExpressionPtr ExpressionParser::filter_chain(ExpressionPtr value) {
  while (true) {
    if (take_operator("|")) {
      value = filter(std::move(value));
    } else if (take_name("is")) {
      value = test(std::move(value));
    } else if (is_operator("(")) {
      value = suffixes(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr value) {
  value = filter(std::move(value));
  while (take_operator("|")) value = filter(std::move(value));
  return value;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr value) {
  auto made = std::make_unique<Expression>();
  made->kind = Expression::kFilter;
  made->name = expect_name();
  made->parts.push_back(std::move(value));
  if (is_operator("(")) arguments(*made);
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const bool negated = take_name("not");
  auto made = std::make_unique<Expression>();
  made->kind = Expression::kTest;
  made->name = expect_name();
  made->parts.push_back(std::move(value));
  const Token& next = peek();
  const bool operand = next.kind == Token::kString || next.kind == Token::kInt ||
                       next.kind == Token::kFloat || is_operator("[") || is_operator("{") ||
                       (next.kind == Token::kName && !is_name("else") && !is_name("or") &&
                        !is_name("and") && !is_name("if") && !is_name("is") && !is_name("in") &&
                        !is_name("not") && !is_name("recursive"));
  if (is_operator("(")) {
    arguments(*made);
  } else if (operand) {
    made->parts.push_back(suffixes(primary()));
  }
  ExpressionPtr result = finish(std::move(made));
  return negated ? make(Expression::kNot, list_of(std::move(result))) : std::move(result);
}

std::vector<std::string> ExpressionParser::targets() {
  std::vector<std::string> names;
  const bool enclosed = take_operator("(");
  do {
    if (enclosed && is_operator(")")) break;
    names.push_back(expect_name());
  } while (take_operator(","));
  if (enclosed) expect_operator(")");
  return names;
}

std::vector<Parameter> ExpressionParser::parameters() {
  std::vector<Parameter> all;
  if (!take_operator("(")) return all;
  while (!take_operator(")")) {
    if (!all.empty()) expect_operator(",");
    Parameter parameter{expect_name(), nullptr};
    if (take_operator("=")) parameter.fallback = expression();
    all.push_back(std::move(parameter));
  }
  return all;
}

}  // namespace lv::llm
