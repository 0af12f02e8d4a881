#include "pipeline/base/json.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "pipeline/base/error.h"
#include "pipeline/base/read_file.h"

namespace lv {
namespace {

constexpr size_t kMaxDepth = 64;

/// Builds a Json from nlohmann's events, so that the document exists once.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(std::string_view name) : name_(name) {}

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override {
    return add(Json(static_cast<int64_t>(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX))
      return add(Json(static_cast<double>(value)));
    return add(Json(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json(Json::Object())); }
  bool start_array(std::size_t) override { return open(Json(Json::Array())); }
  bool key(string_t& value) override {
    keys_.back() = std::move(value);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    throw Error(ErrorCode::kInvalidArgument, name_ + ": expected JSON, got an error at byte " +
                                                 std::to_string(position) + " (" + problem.what() +
                                                 ")");
  }

  Json take() { return std::move(root_); }

 private:
  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().push_back(std::move(value));
    } else {
      members_.back().emplace_back(std::move(keys_.back()), std::move(value));
    }
    return true;
  }
  bool open(Json value) {
    check(open_.size() < kMaxDepth, ErrorCode::kInvalidArgument,
          name_ + ": expected at most " + std::to_string(kMaxDepth) + " levels of JSON, got more");
    open_.push_back(std::move(value));
    keys_.emplace_back();
    members_.emplace_back();
    return true;
  }
  bool close() {
    Json value = std::move(open_.back());
    if (value.is_object()) value = Json(std::move(members_.back()));
    open_.pop_back();
    keys_.pop_back();
    members_.pop_back();
    return add(std::move(value));
  }

  std::string name_;
  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  std::vector<Json::Object> members_;
};

nlohmann::ordered_json to_nlohmann(const Json& value) {
  if (value.is_null()) return nullptr;
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_number()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.is_array()) {
    auto array = nlohmann::ordered_json::array();
    for (const Json& item : value.as_array()) array.push_back(to_nlohmann(item));
    return array;
  }
  auto object = nlohmann::ordered_json::object();
  for (const auto& [key, member] : value.as_object()) object[key] = to_nlohmann(member);
  return object;
}

std::string kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_bool()) return "a boolean";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

[[noreturn]] void wrong_kind(const char* expected, const Json& got) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string("JSON: expected ") + expected + ", got " + kind_of(got));
}

}  // namespace

bool Json::as_bool() const {
  if (const auto* value = std::get_if<bool>(&value_)) return *value;
  wrong_kind("a boolean", *this);
}
int64_t Json::as_int() const {
  if (const auto* value = std::get_if<int64_t>(&value_)) return *value;
  wrong_kind("a whole number", *this);
}
double Json::as_double() const {
  if (const auto* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  wrong_kind("a number", *this);
}
const std::string& Json::as_string() const {
  if (const auto* value = std::get_if<std::string>(&value_)) return *value;
  wrong_kind("a string", *this);
}
const Json::Array& Json::as_array() const {
  if (const auto* value = std::get_if<Array>(&value_)) return *value;
  wrong_kind("an array", *this);
}
const Json::Object& Json::as_object() const {
  if (const auto* value = std::get_if<Object>(&value_)) return *value;
  wrong_kind("an object", *this);
}

const Json* Json::find(std::string_view key) const {
  const auto* object = std::get_if<Object>(&value_);
  if (object == nullptr) return nullptr;
  for (const auto& [name, member] : *object) {
    if (name == key) return &member;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  const Json* member = find(key);
  if (member == nullptr)
    throw Error(ErrorCode::kInvalidArgument,
                "JSON: expected a member '" + std::string(key) + "', got none");
  return *member;
}

namespace {

/// Runs `read` on the member and names the key if it has the wrong kind.
template <class T, class Read>
T member_or(const Json& object, std::string_view key, T fallback, Read read) {
  const Json* member = object.find(key);
  if (member == nullptr || member->is_null()) return fallback;
  try {
    return read(*member);
  } catch (const Error& problem) {
    throw Error(problem.code(), std::string(key) + ": " + problem.what());
  }
}

}  // namespace

bool Json::get(std::string_view key, bool fallback) const {
  return member_or(*this, key, fallback, [](const Json& x) { return x.as_bool(); });
}
int64_t Json::get(std::string_view key, int64_t fallback) const {
  return member_or(*this, key, fallback, [](const Json& x) { return x.as_int(); });
}
double Json::get(std::string_view key, double fallback) const {
  return member_or(*this, key, fallback, [](const Json& x) { return x.as_double(); });
}
std::string Json::get(std::string_view key, const char* fallback) const {
  return member_or(*this, key, std::string(fallback), [](const Json& x) { return x.as_string(); });
}

void Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object();
  auto* object = std::get_if<Object>(&value_);
  if (object == nullptr) wrong_kind("an object", *this);
  for (auto& [name, member] : *object) {
    if (name == key) {
      member = std::move(value);
      return;
    }
  }
  object->emplace_back(std::string(key), std::move(value));
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array();
  auto* array = std::get_if<Array>(&value_);
  if (array == nullptr) wrong_kind("an array", *this);
  array->push_back(std::move(value));
}

std::string Json::dump(int indent) const {
  return to_nlohmann(*this).dump(indent > 0 ? indent : -1, ' ', false,
                                 nlohmann::ordered_json::error_handler_t::replace);
}

Json parse_json(std::string_view text, std::string_view name) {
  Builder builder(name);
  nlohmann::json::sax_parse(text, &builder);
  return builder.take();
}

Json read_json_file(const std::string& path, int64_t limit_bytes) {
  return parse_json(file_contents(path, limit_bytes), path);
}

Json optional_json_file(const std::string& path, int64_t limit_bytes) {
  return std::filesystem::is_regular_file(path) ? read_json_file(path, limit_bytes) : Json();
}

}  // namespace lv
