#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "llm/template/syntax.h"
#include "llm/template/value.h"

namespace lv::llm {

/// A template asked for the parts of a message's content, which it was given as one string.
struct WantsParts {};

/// One run of a template: its variables, what it wrote, and what it may still use. Not thread-safe.
class Interpreter {
 public:
  /// Borrows the template.
  Interpreter(const Block& root, std::map<std::string, Value, std::less<>> globals);

  /// Runs the template. Throws kInvalidArgument on a wrong operation, with its line, and
  /// kResourceExhausted when it takes too many steps, too much memory or too deep calls.
  Text run();

  /// Counts memory that a value takes.
  void charge(size_t bytes);
  Namespace* new_namespace();
  /// The items that a loop over the value sees.
  Value::List items_of(const Value& value);

 private:
  using Variables = std::map<std::string, Value, std::less<>>;
  using Closure = std::vector<Variables>;
  enum class Flow { kNext, kBreak, kContinue };
  struct Scope;
  /// One step, as long as it lasts one level deeper.
  struct Deeper {
    explicit Deeper(Interpreter& run);
    ~Deeper() { --depth; }
    int& depth;
  };

  Value evaluate(const Expression& e);
  Value collection(const Expression& e);
  Value lookup(std::string_view name) const;
  Value attribute(const Value& object, const std::string& name);
  Value item(const Value& object, const Value& index);
  Value slice(const Expression& e);
  Value call(const Expression& e);
  Value binary(const std::string& sign, const Value& left, const Value& right);
  Value arithmetic(const std::string& sign, const Value& left, const Value& right);
  /// A string or list, `times` over.
  Value repeated(const Value& value, int64_t times);
  Value compare_chain(const Expression& e);
  bool compares(const std::string& sign, const Value& left, const Value& right);
  bool contains(const Value& whole, const Value& part);
  Value concatenate(const Expression& e);
  Arguments arguments(const Expression& e, size_t first);

  Flow run_block(const Block& block, Text& out);
  Flow run_statement(const Statement& s, Text& out);
  Flow run_for(const Statement& s, Text& out);
  void run_set(const Statement& s);
  void assign(const std::vector<std::string>& targets, const Value& value);
  Text captured(const Block& block);
  Value macro(const Statement& s);
  Text run_macro(const Statement& s, const Arguments& given, const Closure& closure);
  Value filtered(const Statement& s, Text text);
  void append(Text& out, const Text& text);

  const Block& root_;
  std::vector<Variables> scopes_;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  size_t bytes_ = 0;
  int64_t steps_ = 0;
  int depth_ = 0;
  int line_ = 1;
};

/// value|name(arguments), value is name(arguments) and value.name(arguments).
Value apply_filter(Interpreter& run, const std::string& name, const Value& value,
                   const Arguments& arguments);
bool apply_test(Interpreter& run, const std::string& name, const Value& value,
                const Arguments& arguments);
/// The method of a string or a dictionary; nullptr if it has none of this name.
using Method = Value (*)(Interpreter& run, const Value& object, const Arguments& arguments);
Method find_method(const Value& object, std::string_view name);

/// What filters and methods share. The characters keep their origin.
Text trimmed(const Text& text, bool left, bool right, const Value& characters);
Text replaced(Interpreter& run, const Text& text, const Text& from, const Text& to, int64_t count);
enum class LetterCase { kUpper, kLower, kTitle, kCapitalized };
Text with_case(const Text& text, LetterCase letter_case);
/// What str.isspace() holds of: Unicode's white space, and four separators that are none of it.
bool is_python_space(char32_t c);
/// The byte offsets where characters begin, and the end.
std::vector<size_t> character_starts(const Text& text);

/// Throws kInvalidArgument with "chat template: " before the text.
[[noreturn]] void template_error(const std::string& what);

}  // namespace lv::llm
