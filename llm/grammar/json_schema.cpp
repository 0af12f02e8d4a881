#include "llm/grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/types/prompt.h"

namespace lv::llm {
namespace {

using Names = std::set<std::string, std::less<>>;

constexpr int64_t kMostSchemas = 500;
constexpr int64_t kMostItems = 10000;
constexpr int64_t kLongestString = 256;          // of those with a limit
constexpr int64_t kMostCountedCharacters = 400;  // of all their limits: each is a state to compile
constexpr int64_t kLargestInteger = (1LL << 53) - 1;
constexpr double kLargestNumber = 1e15;
constexpr double kDecimals = 1e6;
constexpr std::string_view kShared = "(shared)";  // no keyword that a document can have

const Names kAnnotations{"$schema",  "$id",     "$comment",   "title",    "description",
                         "examples", "default", "deprecated", "readOnly", "writeOnly"};
const Names kTypes{"null", "boolean", "integer", "number", "string", "array", "object"};
// Others are annotations, as the standard has it.
const Names kFormats{"date", "time", "date-time", "uuid", "email", "ipv4", "hostname", "uri"};

/// The type that a keyword speaks of; empty if it is none of these.
std::string_view type_of_keyword(std::string_view key) {
  static const std::map<std::string_view, std::string_view> types{
      {"minimum", "number"},          {"maximum", "number"},
      {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},
      {"minLength", "string"},        {"maxLength", "string"},
      {"format", "string"},           {"items", "array"},
      {"prefixItems", "array"},       {"minItems", "array"},
      {"maxItems", "array"},          {"properties", "object"},
      {"required", "object"},         {"additionalProperties", "object"}};
  const auto found = types.find(key);
  return found == types.end() ? std::string_view() : found->second;
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") {
    return value.is_int() ||
           (value.is_number() && std::floor(value.as_double()) == value.as_double());
  }
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  return type == "array" ? value.is_array() : value.is_object();
}

Json object_of(std::string_view key, Json value) {
  Json object;
  object.set(key, std::move(value));
  return object;
}

/// `count` of any characters in a row. The compiler unrolls up to 128 repetitions in one piece.
std::string any_characters(int64_t count, bool fewer) {
  std::string pattern;
  for (; count > 0; count -= 128) {
    const std::string most = std::to_string(std::min<int64_t>(count, 128));
    pattern += ".{" + (fewer ? "0" : most) + "," + most + "}";
  }
  return pattern;
}

class Reader {
 public:
  explicit Reader(const Json& root) : root_(root) {}

  Json read() {
    Json exact = schema(root_, "#");
    for (const auto& [at, target] : references_) {
      require(nodes_.contains(target), at,
              "$ref: expected '#' or the place of a schema in this document, such as "
              "'#/$defs/name', got '" +
                  target + "'");
    }
    check_finite();
    if (!shared_.is_null()) exact.set(kShared, shared_);
    return exact;
  }

 private:
  /// What must be finite so that texts of a schema are.
  struct Node {
    std::vector<std::string> parts;
    bool one_is_enough = false;
  };

  [[noreturn]] static void refuse(const std::string& at, const std::string& text) {
    throw Error(ErrorCode::kInvalidArgument, "json_schema: " + at + ": " + text);
  }
  static void require(bool condition, const std::string& at, const std::string& text) {
    if (!condition) refuse(at, text);
  }

  Json schema(const Json& given, const std::string& at) {
    require(static_cast<int64_t>(nodes_.size()) < kMostSchemas, "#",
            "expected at most " + std::to_string(kMostSchemas) + " schemas in it, got more");
    nodes_[at];
    if (given.is_bool()) {
      require(given.as_bool(), at, "no text satisfies false");
      return any();
    }
    require(given.is_object(), at, "expected a schema: an object or true");
    const Names keys = keywords(given, at);
    Json exact = described(given, keys, at);
    for (const char* key : {"$defs", "definitions"}) {
      if (const Json* definitions = given.find(key)) exact.set(key, members(*definitions, at, key));
    }
    return exact;
  }

  /// The names that restrict texts.
  static Names keywords(const Json& given, const std::string& at) {
    static const Names others{"type", "enum", "const", "anyOf", "allOf", "$ref"};
    Names keys;
    for (const auto& [key, value] : given.as_object()) {
      if (kAnnotations.contains(key) || key.starts_with("x-")) continue;
      if (key == "$defs" || key == "definitions") continue;
      require(others.contains(key) || !type_of_keyword(key).empty(), at,
              "keyword '" + key + "' is not supported" + (key == "oneOf" ? "; anyOf is" : ""));
      keys.insert(key);
    }
    return keys;
  }

  Json described(const Json& given, const Names& keys, const std::string& at) {
    for (const char* form : {"$ref", "anyOf", "allOf"}) {
      if (!keys.contains(form)) continue;
      require(keys.size() == 1, at, std::string(form) + ": expected no other keyword beside it");
      return form == std::string_view("$ref") ? reference(given, at) : choice(given, form, at);
    }
    const Names types = types_of(given, keys, at);
    if (keys.contains("enum") || keys.contains("const")) return values(given, types, at);
    if (types.empty()) return any();
    Json::Array kinds;
    for (const std::string& type : types) kinds.push_back(typed(given, type, at));
    // Beside an array or an object, a type that holds nothing is finite.
    if (std::ranges::any_of(types, [](const auto& t) { return t != "array" && t != "object"; })) {
      nodes_[at].parts.clear();
    }
    return kinds.size() == 1 ? kinds[0] : object_of("anyOf", std::move(kinds));
  }

  /// As the schema names them, or those that its keywords speak of; none for any.
  static Names types_of(const Json& given, const Names& keys, const std::string& at) {
    Names types;
    if (const Json* named = given.find("type")) {
      const Json::Array one{*named};
      for (const Json& type : named->is_array() ? named->as_array() : one) {
        require(type.is_string() && kTypes.contains(type.as_string()), at,
                "type: expected null, boolean, integer, number, string, array or object");
        types.insert(type.as_string());
      }
      require(!types.empty(), at, "type: expected at least one, got none");
      return types;
    }
    for (const std::string& key : keys) {
      if (const auto type = type_of_keyword(key); !type.empty()) types.emplace(type);
    }
    return types;
  }

  Json reference(const Json& given, const std::string& at) {
    const Json& target = given.at("$ref");
    require(target.is_string(), at, "$ref: expected text");
    references_.emplace_back(at, target.as_string());
    nodes_[at].parts = {target.as_string()};
    return object_of("$ref", target);
  }

  Json choice(const Json& given, const char* form, const std::string& at) {
    const Json& options = given.at(form);
    require(options.is_array() && !options.as_array().empty(), at,
            std::string(form) + ": expected a list of at least one schema");
    require(form == std::string_view("anyOf") || options.as_array().size() == 1, at,
            "allOf: expected one schema, more are not supported");
    Json::Array exact;
    std::vector<std::string> places;
    for (size_t i = 0; i < options.as_array().size(); ++i) {
      places.push_back(at + "/" + form + "/" + std::to_string(i));
      exact.push_back(schema(options.as_array()[i], places.back()));
    }
    nodes_[at] = {std::move(places), true};
    return object_of("anyOf", std::move(exact));
  }

  static Json values(const Json& given, const Names& types, const std::string& at) {
    const Json* constant = given.find("const");
    const Json* list = given.find("enum");
    require(constant == nullptr || list == nullptr, at, "expected const or enum, got both");
    require(list == nullptr || (list->is_array() && !list->as_array().empty()), at,
            "enum: expected a list of at least one value");
    Json::Array allowed = list != nullptr ? list->as_array() : Json::Array{*constant};
    for (const Json& value : allowed) {
      require(types.empty() || std::ranges::any_of(
                                   types, [&](const auto& type) { return has_type(value, type); }),
              at, "expected values of the type, got " + value.dump());
      check_text(value, at);
    }
    return object_of("enum", std::move(allowed));
  }

  /// What JSON writes as \u.... no answer holds.
  static void check_text(const Json& value, const std::string& at) {
    if (value.is_string()) {
      check_text(value.as_string(), at);
    } else if (value.is_array()) {
      for (const Json& item : value.as_array()) check_text(item, at);
    } else if (value.is_object()) {
      for (const auto& [key, item] : value.as_object()) {
        check_text(key, at);
        check_text(item, at);
      }
    }
  }
  static void check_text(const std::string& text, const std::string& at) {
    const bool plain = std::ranges::all_of(text, [](char c) {
      return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) ||
             std::string_view("\b\f\n\r\t").find(c) != std::string_view::npos;
    });
    require(plain, at, "expected text without control characters, got " + Json(text).dump());
  }

  Json typed(const Json& given, const std::string& type, const std::string& at) {
    if (type == "integer") return integer(given, at);
    if (type == "number") return number(given, at);
    if (type == "string") return string(given, at);
    if (type == "array") return array(given, at);
    if (type == "object") return object(given, at);
    return object_of("type", type);
  }

  static std::optional<double> bound(const Json& given, const char* key, const std::string& at) {
    const Json* value = given.find(key);
    if (value == nullptr) return std::nullopt;
    require(value->is_number(), at, std::string(key) + ": expected a number");
    return value->as_double();
  }

  /// Numbers from `low` to `high`, each in or, if it is open, out.
  struct Range {
    double low, high;
    bool low_open = false, high_open = false;
  };
  static Range range(const Json& given, double largest, const std::string& at) {
    Range range{-largest, largest};
    if (const auto low = bound(given, "minimum", at)) range.low = std::max(range.low, *low);
    if (const auto high = bound(given, "maximum", at)) range.high = std::min(range.high, *high);
    const auto above = bound(given, "exclusiveMinimum", at);
    const auto below = bound(given, "exclusiveMaximum", at);
    if (above && *above >= range.low) {
      range.low = *above;
      range.low_open = true;
    }
    if (below && *below <= range.high) {
      range.high = *below;
      range.high_open = true;
    }
    return range;
  }

  /// Moves the ends to the first and last multiples of 1 / `steps` in the range. Throws if there
  /// are none.
  static void round_to(double steps, Range& range, const std::string& at) {
    const double infinity = std::numeric_limits<double>::infinity();
    double low = std::round(range.low * steps);
    while (low / steps < range.low || (range.low_open && low / steps == range.low)) {
      low = std::max(low + 1, std::nextafter(low, infinity));
    }
    double high = std::round(range.high * steps);
    while (high / steps > range.high || (range.high_open && high / steps == range.high)) {
      high = std::min(high - 1, std::nextafter(high, -infinity));
    }
    require(low <= high, at,
            std::string("no number satisfies its limits") + (steps > 1 ? " in six decimals" : ""));
    range.low = low / steps;
    range.high = high / steps;
  }

  static Json integer(const Json& given, const std::string& at) {
    Range whole = range(given, static_cast<double>(kLargestInteger), at);
    round_to(1, whole, at);
    Json exact = object_of("type", "integer");
    exact.set("minimum", static_cast<int64_t>(whole.low));
    exact.set("maximum", static_cast<int64_t>(whole.high));
    return exact;
  }

  static Json number(const Json& given, const std::string& at) {
    Range limits = range(given, kLargestNumber, at);
    round_to(kDecimals, limits, at);
    Json exact = object_of("type", "number");
    exact.set("minimum", limits.low);
    exact.set("maximum", limits.high);
    return exact;
  }

  static std::optional<int64_t> count(const Json& given, const char* key, int64_t most,
                                      const std::string& at) {
    const Json* value = given.find(key);
    if (value == nullptr) return std::nullopt;
    require(has_type(*value, "integer") && value->as_double() >= 0 &&
                value->as_double() <= static_cast<double>(most),
            at,
            std::string(key) + ": expected a whole number from 0 to " + std::to_string(most) +
                ", got " + value->dump());
    return static_cast<int64_t>(value->as_double());
  }

  Json string(const Json& given, const std::string& at) {
    const int64_t least = count(given, "minLength", kLongestString, at).value_or(0);
    const auto most = count(given, "maxLength", kLongestString, at);
    require(!most || least <= *most, at, "minLength: expected at most maxLength, got more");
    Json exact = object_of("type", "string");
    if (least > 0 || most) {
      if (most && *most == 0) return object_of("enum", Json::Array{""});
      // Strings of the same lengths share their states.
      const std::string name =
          "text " + std::to_string(least) + " " + (most ? std::to_string(*most) : "");
      if (shared_.find(name) == nullptr) {
        counted_characters_ += most.value_or(least);
        require(counted_characters_ <= kMostCountedCharacters, at,
                "expected limits of different strings of at most " +
                    std::to_string(kMostCountedCharacters) + " characters together, got more");
        exact.set("pattern", "^" + any_characters(least, false) +
                                 (most ? any_characters(*most - least, true) : ".*") + "$");
        shared_.set(name, std::move(exact));
      }
      return shared(name);
    }
    if (const Json* format = given.find("format")) {
      require(format->is_string(), at, "format: expected text");
      if (kFormats.contains(format->as_string())) exact.set("format", *format);
    }
    return exact;
  }

  Json array(const Json& given, const std::string& at) {
    const int64_t least = count(given, "minItems", kMostItems, at).value_or(0);
    const auto most = count(given, "maxItems", kMostItems, at);
    require(!most || least <= *most, at, "minItems: expected at most maxItems, got more");
    Json exact = object_of("type", "array");
    const Json* first = given.find("prefixItems");
    Json::Array prefix;
    if (first != nullptr) {
      require(first->is_array(), at, "prefixItems: expected a list of schemas");
      for (const Json& item : first->as_array()) {
        if (most && static_cast<int64_t>(prefix.size()) == *most) break;
        const std::string place = at + "/prefixItems/" + std::to_string(prefix.size());
        if (static_cast<int64_t>(prefix.size()) < least) nodes_[at].parts.push_back(place);
        prefix.push_back(schema(item, place));
      }
    }
    const auto listed = static_cast<int64_t>(prefix.size());
    const Json* items = given.find("items");
    const bool closed =
        (items != nullptr && items->is_bool() && !items->as_bool()) || (most && listed == *most);
    require(
        !closed || least <= listed, at,
        "minItems: expected at most the " + std::to_string(listed) + " items that there may be");
    if (closed) {
      exact.set("items", false);
    } else {
      const std::string place = at + "/items";
      exact.set("items", items != nullptr ? schema(*items, place) : any());
      if (items != nullptr && least > listed) nodes_[at].parts.push_back(place);
    }
    if (!prefix.empty()) exact.set("prefixItems", std::move(prefix));
    exact.set("minItems", least);
    if (most) exact.set("maxItems", *most);
    return exact;
  }

  Json object(const Json& given, const std::string& at) {
    Json exact = object_of("type", "object");
    Json properties = Json(Json::Object());
    if (const Json* named = given.find("properties"))
      properties = members(*named, at, "properties");
    const Json* others = given.find("additionalProperties");
    const bool closed = others != nullptr && others->is_bool() && !others->as_bool();
    Json::Array required;
    if (const Json* names = given.find("required")) {
      require(names->is_array(), at, "required: expected a list of names");
      required = names->as_array();
    }
    const std::string other_place = at + "/additionalProperties";
    const auto other = [&] { return others == nullptr ? any() : schema(*others, other_place); };
    for (const Json& name : required) {
      require(name.is_string(), at, "required: expected a list of names");
      check_text(name.as_string(), at);
      const bool known = properties.find(name.as_string()) != nullptr;
      require(known || !closed, at,
              "required: expected names of properties, got '" + name.as_string() + "'");
      if (!known) properties.set(name.as_string(), other());
      if (known || others != nullptr) {
        nodes_[at].parts.push_back(known ? at + "/properties/" + name.as_string() : other_place);
      }
    }
    const bool open = properties.as_object().empty() && !closed;
    exact.set("additionalProperties", open ? other() : Json(false));
    exact.set("properties", std::move(properties));
    exact.set("required", std::move(required));
    return exact;
  }

  /// The schemas that are the members of an object under `key`.
  Json members(const Json& given, const std::string& at, const std::string& key) {
    require(given.is_object(), at, key + ": expected an object of schemas");
    Json exact = Json(Json::Object());
    for (const auto& [name, value] : given.as_object()) {
      check_text(name, at);
      exact.set(name, schema(value, at + "/" + key + "/" + name));
    }
    return exact;
  }

  Json any() {
    if (shared_.find("any") == nullptr) {
      shared_.set("any", nullptr);  // it refers to itself
      Json::Array kinds;
      for (const char* type : {"string", "number", "boolean", "null"}) {
        kinds.push_back(typed(Json(Json::Object()), type, "#"));
      }
      Json list = object_of("type", "array");
      list.set("items", shared("any"));
      kinds.push_back(std::move(list));
      Json map = object_of("type", "object");
      map.set("additionalProperties", shared("any"));
      kinds.push_back(std::move(map));
      shared_.set("any", object_of("anyOf", std::move(kinds)));
    }
    return shared("any");
  }

  static Json shared(const std::string& name) {
    return object_of("$ref", "#/" + std::string(kShared) + "/" + name);
  }

  /// Refuses schemas that contain themselves without end: finite is what is found so, from the
  /// leaves on.
  void check_finite() const {
    Names finite;
    for (size_t before = nodes_.size(); before != finite.size();) {
      before = finite.size();
      for (const auto& [at, node] : nodes_) {
        const auto known = [&](const std::string& part) { return finite.contains(part); };
        if (node.one_is_enough ? std::ranges::any_of(node.parts, known)
                               : std::ranges::all_of(node.parts, known)) {
          finite.insert(at);
        }
      }
    }
    for (const auto& [at, node] : nodes_) {
      require(finite.contains(at), at, "no text satisfies it: it contains itself without end");
    }
  }

  const Json& root_;
  std::map<std::string, Node, std::less<>> nodes_;               // by place
  std::vector<std::pair<std::string, std::string>> references_;  // from place to place
  Json shared_;
  int64_t counted_characters_ = 0;
};

}  // namespace

Json exact_schema(const std::string& schema) {
  check(schema.size() <= kMaxSchemaBytes, ErrorCode::kInvalidArgument,
        "json_schema: expected at most " + std::to_string(kMaxSchemaBytes) + " bytes, got " +
            std::to_string(schema.size()));
  const Json root = parse_json(schema, "json_schema");
  return Reader(root).read();
}

}  // namespace lv::llm
