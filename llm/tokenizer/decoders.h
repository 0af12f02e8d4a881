#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/json.h"

namespace lv::llm {

/// Turns tokens back into text: one entry of tokenizer.json's `decoder`. Immutable, thread-safe.
class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  /// All tokens of a text at once; their concatenation is the text.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
  /// The next token of a stream, to bytes that may end within a character; `first` is said of the
  /// first one only.
  virtual void apply_next(std::string& token, bool first) const = 0;
};
using TokenDecoderPtr = std::unique_ptr<const TokenDecoder>;

/// From its description; nullptr for null. Throws kInvalidArgument, or kUnimplemented that names
/// the type.
TokenDecoderPtr make_token_decoder(const Json& description);

/// The byte of a token such as "<0x0A>", or -1.
int byte_of_token(std::string_view token);

}  // namespace lv::llm
