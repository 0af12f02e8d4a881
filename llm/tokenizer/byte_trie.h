#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipeline/base/error.h"

namespace lv::llm {

/// A map from byte strings to numbers that is walked byte by byte.
class ByteTrie {
 public:
  static constexpr int32_t kRoot = 0;

  /// A later value of the same bytes replaces the earlier one. Throws kInvalidArgument when the
  /// strings are too long altogether.
  void add(std::string_view bytes, int32_t value) {
    int32_t node = kRoot;
    for (const char c : bytes) {
      const auto fresh = static_cast<int32_t>(values_.size());
      const auto [it, added] = children_.emplace(key(node, c), fresh);
      if (added) values_.push_back(-1);
      node = it->second;
      check(values_.size() < (1u << 24), ErrorCode::kInvalidArgument,
            "vocabulary: expected at most 2^24 bytes of different beginnings, got more");
    }
    values_[static_cast<size_t>(node)] = value;
  }

  /// The node below, or -1.
  int32_t child(int32_t node, char c) const {
    const auto it = children_.find(key(node, c));
    return it == children_.end() ? -1 : it->second;
  }
  /// The value of the string that ends at this node, or -1.
  int32_t value(int32_t node) const { return values_[static_cast<size_t>(node)]; }

 private:
  static uint64_t key(int32_t node, char c) {
    return static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(c);
  }
  std::unordered_map<uint64_t, int32_t> children_;
  std::vector<int32_t> values_{-1};
};

}  // namespace lv::llm
