#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "llm/template/text.h"
#include "pipeline/base/json.h"

namespace lv::llm {

class Value;
class Interpreter;

/// What a call is given: values in order, and by name.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at `index` or called `name`; undefined if it is not there.
  Value get(size_t index, std::string_view name = {}) const;
  bool has(size_t index, std::string_view name = {}) const;
};

using Function = std::function<Value(Interpreter&, const Arguments&)>;

/// A variable that can be written from inner scopes. Owned by the interpreter, so that one that
/// holds itself goes away with it.
struct Namespace;

/// A value of the template language: Python's, as far as templates see it. A small value; lists and
/// dictionaries are shared and immutable.
class Value {
 public:
  struct Undefined {
    std::string name;
    bool operator==(const Undefined&) const { return true; }
  };
  using List = std::vector<Value>;
  using Dict = std::vector<std::pair<Text, Value>>;  // in order of insertion
  /// Of all that a value holds, each as often as it is held.
  struct Extent {
    int depth = 0;
    size_t bytes = 0;
  };
  struct Sequence {
    List items;
    Extent extent;
    bool tuple = false;
    bool lazy = false;  // what Python makes item by item, so that it never counts as empty
  };
  struct Mapping {
    Dict members;
    Extent extent;
  };

  Value() : value_(Undefined{}) {}
  static Value undefined(std::string name) { return Value(Undefined{std::move(name)}); }
  static Value none() { return Value(nullptr); }
  static Value of(bool x) { return Value(x); }
  static Value of(int64_t x) { return Value(x); }
  static Value of(double x) { return Value(x); }
  static Value of(Text x);
  static Value of(const char* x) { return of(Text(x, kTemplate)); }  // not as a boolean
  static Value of(std::string_view x, Origin from = kTemplate) { return of(Text(x, from)); }
  /// Throw kResourceExhausted if values are nested too deep, or hold so many that writing them out
  /// would take too long: a list that holds another twice doubles it.
  static Value of(List x, bool tuple = false);
  static Value lazy(List x);
  static Value of(Dict x);
  static Value of(Function x);
  static Value of(Namespace* x) { return Value(x); }
  /// All text in it is the user's.
  static Value from_json(const Json& json);
  /// A string that is a message's content; see is_content().
  static Value content(Text x);

  bool is_undefined() const { return std::holds_alternative<Undefined>(value_); }
  bool is_none() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_float() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_float() || is_bool(); }
  bool is_string() const { return std::holds_alternative<TextPtr>(value_); }
  bool is_list() const { return std::holds_alternative<SequencePtr>(value_); }
  bool is_dict() const { return std::holds_alternative<MappingPtr>(value_); }
  bool is_callable() const { return std::holds_alternative<FunctionPtr>(value_); }
  /// Whether a template that takes it apart by position expects a list of parts instead.
  bool is_content() const { return content_; }

  bool as_bool() const { return std::get<bool>(value_); }
  int64_t as_int() const;   // of a boolean too
  double as_float() const;  // of any number
  const Text& text() const { return *std::get<TextPtr>(value_); }
  const std::string& bytes() const { return text().bytes; }
  const List& items() const { return std::get<SequencePtr>(value_)->items; }
  bool is_tuple() const { return is_list() && std::get<SequencePtr>(value_)->tuple; }
  bool is_lazy() const { return is_list() && std::get<SequencePtr>(value_)->lazy; }
  const Dict& members() const { return std::get<MappingPtr>(value_)->members; }
  const Function& function() const { return *std::get<FunctionPtr>(value_); }
  Namespace* name_space() const;  // nullptr if it is none
  const std::string& undefined_name() const { return std::get<Undefined>(value_).name; }

  /// The member of a dictionary, or nullptr.
  const Value* find(std::string_view key) const;

  bool truthy() const;
  bool equals(const Value& other) const;
  /// What it is called in messages: "a string", "a list" ...
  const char* kind() const;

  /// As Python's str() and repr() write it.
  Text str() const;
  Text repr() const;
  /// As Python's json.dumps(ensure_ascii=False).
  struct JsonStyle {
    int indent = -1;  // less than 0 writes one line
    bool sort_keys = false;
    std::string between_items = ", ", behind_key = ": ";
  };
  Text json(const JsonStyle& style) const;

 private:
  using TextPtr = std::shared_ptr<const Text>;
  using SequencePtr = std::shared_ptr<const Sequence>;
  using MappingPtr = std::shared_ptr<const Mapping>;
  using FunctionPtr = std::shared_ptr<const Function>;
  using Variant = std::variant<Undefined, std::nullptr_t, bool, int64_t, double, TextPtr,
                               SequencePtr, MappingPtr, FunctionPtr, Namespace*>;

  explicit Value(Variant value) : value_(std::move(value)) {}
  Extent extent() const;
  void write_json(Text& out, const JsonStyle& style, int level) const;

  Variant value_;
  bool content_ = false;
};

struct Namespace {
  std::map<std::string, Value, std::less<>> members;
};

/// -1, 0 or 1. Throws kInvalidArgument if the two have no order.
int compare(const Value& left, const Value& right);

}  // namespace lv::llm
