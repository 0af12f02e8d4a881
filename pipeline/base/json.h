#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lv {

/// A JSON value. Objects keep the order of their keys. A plain value type: copying copies the whole
/// tree.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;                                         // null
  Json(std::nullptr_t) {}                                   // NOLINT(google-explicit-constructor)
  Json(bool value) : value_(value) {}                       // NOLINT(google-explicit-constructor)
  Json(int value) : value_(static_cast<int64_t>(value)) {}  // NOLINT(google-explicit-constructor)
  Json(int64_t value) : value_(value) {}                    // NOLINT(google-explicit-constructor)
  Json(double value) : value_(value) {}                     // NOLINT(google-explicit-constructor)
  Json(const char* value) : value_(std::string(value)) {}   // NOLINT(google-explicit-constructor)
  Json(std::string value) : value_(std::move(value)) {}     // NOLINT(google-explicit-constructor)
  Json(std::string_view value)
      : value_(std::string(value)) {}               // NOLINT(google-explicit-constructor)
  Json(Array value) : value_(std::move(value)) {}   // NOLINT(google-explicit-constructor)
  Json(Object value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// The value as this type. Throws kInvalidArgument that says what was expected and what is there.
  bool as_bool() const;
  int64_t as_int() const;    // a whole number
  double as_double() const;  // any number
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// The member called `key`, or nullptr. A value that is no object has no members.
  const Json* find(std::string_view key) const;
  /// The member called `key`. Throws kInvalidArgument that names the key if it is absent.
  const Json& at(std::string_view key) const;
  /// The member called `key` if it is there and not null, else `fallback`; the wrong type throws.
  bool get(std::string_view key, bool fallback) const;
  int64_t get(std::string_view key, int64_t fallback) const;
  int64_t get(std::string_view key, int fallback) const {
    return get(key, static_cast<int64_t>(fallback));
  }
  double get(std::string_view key, double fallback) const;
  std::string get(std::string_view key, const char* fallback) const;

  /// Makes a null value an object; replaces or appends the member.
  void set(std::string_view key, Json value);
  /// Makes a null value an array; appends.
  void push_back(Json value);

  /// One line of JSON; `indent` > 0 spreads it over lines. Bytes that are no UTF-8 become U+FFFD.
  std::string dump(int indent = 0) const;

  bool operator==(const Json& other) const { return value_ == other.value_; }

 private:
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value_;
};

/// Reads one JSON text, at most 64 levels deep. `name` starts the error's text: kInvalidArgument
/// with the byte position.
Json parse_json(std::string_view text, std::string_view name);

/// Reads a file of JSON, at most `limit_bytes`. Throws kNotFound if it cannot be opened.
Json read_json_file(const std::string& path, int64_t limit_bytes = 256 << 20);

/// The same, and null where there is no such file.
Json optional_json_file(const std::string& path, int64_t limit_bytes = 256 << 20);

}  // namespace lv
