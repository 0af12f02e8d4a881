#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llm/template/value.h"

namespace lv::llm {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/// What is computed. The comments say what `parts` holds.
struct Expression {
  enum Kind {
    kLiteral,    // none; `value`
    kName,       // none; `name`
    kList,       // the items
    kTuple,      // the items
    kDict,       // key, value, key, value ...
    kAttribute,  // object; `name`
    kItem,       // object, index
    kSlice,      // object, begin, end, step; null where not given
    kCall,       // function, arguments ...; `named`
    kFilter,     // value, arguments ...; `name`, `named`
    kTest,       // value, arguments ...; `name`, `named`
    kNot,
    kNegate,
    kPlus,
    kAnd,
    kOr,
    kBinary,   // left, right; `name` is the operator
    kCompare,  // first, others ...; `operators` between them
    kConcat,   // the operands of ~
    kChoice,   // condition, value, other; other may be null
  };
  Kind kind = kLiteral;
  int line = 1;
  int depth = 1;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> parts;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
};

struct Statement;
using Block = std::vector<std::unique_ptr<const Statement>>;

/// A parameter of a macro, with its default or null.
struct Parameter {
  std::string name;
  ExpressionPtr fallback;
};

struct Statement {
  enum Kind {
    kText,      // `name` is the text
    kPrint,     // expression
    kIf,        // expression, body, other
    kFor,       // targets in expression; `condition` or null; body, other
    kSet,       // targets = expression, or target.attribute = expression
    kSetBlock,  // target = body, through the filters of expression, if any
    kMacro,     // name(parameters): body
    kCall,      // expression is the call; body is what caller() gives; parameters
    kFilter,    // body through the filters of expression
    kWith,      // targets = expressions in `values`; body
    kBreak,
    kContinue,
  };
  Kind kind = kText;
  int line = 1;
  std::string name;       // of a macro; text
  std::string attribute;  // of a set into a namespace
  std::vector<std::string> targets;
  ExpressionPtr expression, condition;
  std::vector<ExpressionPtr> values;
  std::vector<Parameter> parameters;
  Block body, other;
};

/// A template as a tree. Throws kInvalidArgument or kUnimplemented that name the line.
Block parse_template(std::string_view source);

/// Stands for the value that a filter block or a set block hands to its filters.
inline constexpr const char* kBlockValue = " block";

}  // namespace lv::llm
