#include <initializer_list>

#include "llm/template/expression_parser.h"
#include "llm/template/syntax.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int kMaxDepth = 60;
constexpr size_t kMaxSourceBytes = 1 << 20;

/// Reads segments into statements.
class Parser {
 public:
  explicit Parser(std::string_view source) : segments_(cut_template(source)) {}

  Block run() {
    Block all = block({});
    if (at_ < segments_.size()) fail_at(segments_[at_], "unexpected '" + word() + "'");
    return all;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  [[noreturn]] static void fail_at(const Segment& segment, const std::string& what,
                                   ErrorCode code = ErrorCode::kInvalidArgument) {
    throw Error(code, "chat template, line " + std::to_string(segment.line) + ": " + what);
  }

  std::string word() const { return segments_[at_].tokens[0].text; }

  /// Statements up to one of `ends`, which is left to be read; up to the template's end if it is
  /// empty.
  Block block(Ends ends) {
    if (++depth_ > kMaxDepth) fail_at(segments_[at_ - 1], "statements are nested too deep");
    Block body;
    for (; at_ < segments_.size(); ++at_) {
      const Segment& segment = segments_[at_];
      if (segment.kind == Segment::kStatement) {
        bool ended = false;
        for (const std::string_view end : ends) ended = ended || word() == end;
        if (ended) break;
      }
      auto made = std::make_unique<Statement>();
      made->line = segment.line;
      if (segment.kind == Segment::kText) {
        made->name = segment.text;
      } else if (segment.kind == Segment::kExpression) {
        made->kind = Statement::kPrint;
        ExpressionParser parser(segment);
        made->expression = parser.expression_or_tuple();
        parser.expect_end();
      } else if (!statement(*made, body)) {
        continue;
      }
      body.push_back(std::move(made));
    }
    --depth_;
    return body;
  }

  /// Reads the statement at at_ up to its last tag. False if there is nothing to run.
  bool statement(Statement& made, Block& outer) {
    const Segment& segment = segments_[at_];
    ExpressionParser parser(segment);
    const std::string name = parser.expect_name();
    if (name == "if") {
      if_statement(made, parser);
    } else if (name == "for") {
      for_statement(made, parser);
    } else if (name == "set") {
      set_statement(made, parser);
    } else if (name == "macro") {
      made.kind = Statement::kMacro;
      made.name = parser.expect_name();
      made.parameters = parser.parameters();
      made.body = body_until(parser, "endmacro");
    } else if (name == "call") {
      made.kind = Statement::kCall;
      made.parameters = parser.parameters();
      made.expression = parser.expression();
      if (made.expression->kind != Expression::kCall) parser.fail("expected a call");
      made.body = body_until(parser, "endcall");
    } else if (name == "filter") {
      made.kind = Statement::kFilter;
      made.expression = parser.filters(block_value());
      made.body = body_until(parser, "endfilter");
    } else if (name == "with") {
      with_statement(made, parser);
    } else if (name == "generation") {  // marks what a model is trained on; only its body counts
      for (auto& part : body_until(parser, "endgeneration")) outer.push_back(std::move(part));
      return false;
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) parser.fail("'" + name + "' outside of a loop");
      made.kind = name == "break" ? Statement::kBreak : Statement::kContinue;
      parser.expect_end();
    } else {
      fail_at(segment, "the statement '" + name + "' is not understood", ErrorCode::kUnimplemented);
    }
    return true;
  }

  static ExpressionPtr block_value() {
    auto made = std::make_unique<Expression>();
    made->kind = Expression::kName;
    made->name = kBlockValue;
    return made;
  }

  /// The body behind the tag that `parser` has read, up to the tag `end`.
  Block body_until(ExpressionParser& parser, std::string_view end) {
    parser.expect_end();
    const Segment& opening = segments_[at_++];
    Block body = block({end});
    expect_tag(opening, end);
    return body;
  }

  /// The tag at at_ must be one of these words alone.
  void expect_tag(const Segment& opening, std::string_view end) {
    if (at_ == segments_.size())
      fail_at(opening, "'" + opening.tokens[0].text + "' without '" + std::string(end) + "'");
    ExpressionParser closing(segments_[at_]);
    closing.take();
    closing.expect_end();
  }

  void if_statement(Statement& made, ExpressionParser& parser) {
    made.kind = Statement::kIf;
    made.expression = parser.expression_or_tuple();
    parser.expect_end();
    const Segment& opening = segments_[at_++];
    Statement* branch = &made;
    branch->body = block({"elif", "else", "endif"});
    while (at_ < segments_.size() && word() == "elif") {
      ExpressionParser condition(segments_[at_]);
      condition.take();
      auto next = std::make_unique<Statement>();
      next->kind = Statement::kIf;
      next->line = segments_[at_].line;
      next->expression = condition.expression_or_tuple();
      condition.expect_end();
      ++at_;
      next->body = block({"elif", "else", "endif"});
      if (++branches_ > 1000) condition.fail("too many branches");
      Statement* const last = next.get();
      branch->other.push_back(std::move(next));
      branch = last;
    }
    if (at_ < segments_.size() && word() == "else") {
      expect_tag(opening, "endif");
      ++at_;
      branch->other = block({"endif"});
    }
    expect_tag(opening, "endif");
  }

  void for_statement(Statement& made, ExpressionParser& parser) {
    made.kind = Statement::kFor;
    made.targets = parser.targets();
    if (!parser.take_name("in")) parser.fail("expected 'in', got '" + parser.peek().text + "'");
    made.expression = parser.expression_or_tuple(false);
    if (parser.take_name("if")) made.condition = parser.expression();
    if (parser.is_name("recursive"))
      fail_at(segments_[at_], "recursive loops are not understood", ErrorCode::kUnimplemented);
    parser.expect_end();
    const Segment& opening = segments_[at_++];
    ++loops_;
    made.body = block({"else", "endfor"});
    --loops_;
    if (at_ < segments_.size() && word() == "else") {
      expect_tag(opening, "endfor");
      ++at_;
      made.other = block({"endfor"});
    }
    expect_tag(opening, "endfor");
  }

  void set_statement(Statement& made, ExpressionParser& parser) {
    made.kind = Statement::kSet;
    made.targets = parser.targets();
    if (parser.take_operator(".")) made.attribute = parser.expect_name();
    if (parser.take_operator("=")) {
      made.expression = parser.expression_or_tuple();
      parser.expect_end();
      return;
    }
    made.kind = Statement::kSetBlock;
    if (made.targets.size() != 1) parser.fail("expected one name, got several");
    if (parser.take_operator("|")) made.expression = parser.filters(block_value());
    made.body = body_until(parser, "endset");
  }

  void with_statement(Statement& made, ExpressionParser& parser) {
    made.kind = Statement::kWith;
    while (parser.peek().kind != Token::kEnd) {
      if (!made.targets.empty()) parser.expect_operator(",");
      made.targets.push_back(parser.expect_name());
      parser.expect_operator("=");
      made.values.push_back(parser.expression());
    }
    made.body = body_until(parser, "endwith");
  }

  std::vector<Segment> segments_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
  int branches_ = 0;
};

}  // namespace

Block parse_template(std::string_view source) {
  check(source.size() <= kMaxSourceBytes, ErrorCode::kInvalidArgument,
        "chat template: expected at most " + std::to_string(kMaxSourceBytes) + " bytes, got " +
            std::to_string(source.size()));
  return Parser(source).run();
}

}  // namespace lv::llm
