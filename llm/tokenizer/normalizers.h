#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "pipeline/base/json.h"

namespace lv::llm {

/// Text, and for each of its bytes whether a special token may be recognised there (0 or 1).
struct MarkedText {
  std::string text;
  std::string allowed;  // as long as text
  bool first = true;    // its beginning is the beginning of what it was made from

  void append(std::string_view more, char mark) {
    text += more;
    allowed.append(more.size(), mark);
  }
  /// The marks of [begin, end), joined: 1 if all are.
  char mark(size_t begin, size_t end) const {
    return allowed.find('\0', begin) < end ? '\0' : '\1';
  }
};

/// Rewrites text before it is split: one entry of tokenizer.json's `normalizer`. Immutable,
/// thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(MarkedText& text) const = 0;
};
using NormalizerPtr = std::unique_ptr<const Normalizer>;

/// From its description; nullptr for null. Throws kInvalidArgument, or kUnimplemented that names
/// the type.
NormalizerPtr make_normalizer(const Json& description);

}  // namespace lv::llm
