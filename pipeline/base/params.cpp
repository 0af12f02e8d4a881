#include "pipeline/base/params.h"

#include <charconv>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv {
namespace {

template <class T>
T parse_number(const std::string& key, const std::string& text, const char* expected) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc() || stop != end) {
    throw Error(ErrorCode::kInvalidArgument,
                key + ": expected " + expected + ", got '" + text + "'");
  }
  return value;
}

}  // namespace

Params Params::parse(std::string_view text) {
  Params params;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  "option '" + std::string(item) + "': expected key=value");
    }
    const std::string key(item.substr(0, equals));
    if (!params.values_.emplace(key, item.substr(equals + 1)).second) {
      throw Error(ErrorCode::kInvalidArgument, "option '" + key + "': given twice");
    }
  }
  return params;
}

std::optional<std::string> Params::find(const std::string& key) {
  known_.insert(key);
  const auto it = values_.find(key);
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

std::string Params::shown(const std::string& key) const {
  return component_.empty() ? key : component_ + "." + key;
}

int64_t Params::get(const std::string& key, int64_t fallback) {
  const auto text = find(key);
  return text ? parse_number<int64_t>(shown(key), *text, "a whole number") : fallback;
}

double Params::get(const std::string& key, double fallback) {
  const auto text = find(key);
  return text ? parse_number<double>(shown(key), *text, "a number") : fallback;
}

bool Params::get(const std::string& key, bool fallback) {
  const auto text = find(key);
  if (!text) return fallback;
  if (*text == "true" || *text == "1") return true;
  if (*text == "false" || *text == "0") return false;
  throw Error(ErrorCode::kInvalidArgument,
              shown(key) + ": expected true or false, got '" + *text + "'");
}

std::string Params::get(const std::string& key, const char* fallback) {
  return find(key).value_or(fallback);
}

void Params::done(std::string_view component) const {
  std::set<std::string> unknown;
  for (const auto& [key, value] : values_) {
    if (!known_.contains(key)) unknown.insert(key);
  }
  if (unknown.empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(component) + ": unknown option " + joined_text(unknown) +
                  (known_.empty() ? " (it has none)" : "; known: " + joined_text(known_)));
}

}  // namespace lv
