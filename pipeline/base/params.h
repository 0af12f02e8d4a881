#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace lv {

/// Named options of one component, as text, from a request, a command line or a file.
/// A component reads its own keys and then calls done(), which rejects what nobody asked for.
/// Not thread-safe: reading marks a key as known.
class Params {
 public:
  Params() = default;
  explicit Params(std::map<std::string, std::string> values) : values_(std::move(values)) {}

  /// Reads "key=value,key=value". Throws kInvalidArgument on an empty key, a missing '=' or a key
  /// given twice.
  static Params parse(std::string_view text);

  /// Whose options these are, for what get() says of a value: "tome.keep: expected ...".
  void belong_to(std::string_view component) { component_ = component; }

  /// The value of `key`, or `fallback` if it is absent. Throws kInvalidArgument if it does not
  /// parse whole.
  int64_t get(const std::string& key, int64_t fallback);
  int64_t get(const std::string& key, int fallback) {
    return get(key, static_cast<int64_t>(fallback));
  }
  double get(const std::string& key, double fallback);
  bool get(const std::string& key, bool fallback);  // true | false | 1 | 0
  std::string get(const std::string& key, const char* fallback);

  /// Adds a value for a key that is not set yet.
  void set_default(const std::string& key, const std::string& value) {
    values_.try_emplace(key, value);
  }

  /// Throws kInvalidArgument that names the keys nobody asked for and those `component` knows.
  void done(std::string_view component) const;

  const std::map<std::string, std::string>& values() const { return values_; }

 private:
  std::optional<std::string> find(const std::string& key);

  /// A key as error texts name it.
  std::string shown(const std::string& key) const;

  std::string component_;
  std::map<std::string, std::string> values_;
  std::set<std::string> known_;
};

}  // namespace lv
