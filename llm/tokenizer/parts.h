#pragma once

#include <string>
#include <vector>

#include "llm/tokenizer/decoders.h"
#include "llm/tokenizer/normalizers.h"
#include "llm/tokenizer/pre_tokenizers.h"
#include "llm/tokenizer/token_model.h"
#include "llm/tokenizer/tokenizer.h"

namespace lv::llm {

/// A token that is found in the text before it is split: control marks and the like.
struct AddedToken {
  int64_t id = 0;
  std::string content;
  bool special = false;      // decode() can leave it out
  bool single_word = false;  // not beside letters or digits
  bool lstrip = false;       // swallows white space before
  bool rstrip = false;       // and behind
  bool normalized = false;   // found in the text after normalisation
};

/// The ids of those that are special: no text of a user's may become one of them.
std::vector<int64_t> special_ids(const std::vector<AddedToken>& added);

/// What a tokenizer is made of. `model` must be there; what is null does nothing.
struct TokenizerParts {
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  TokenModelPtr model;
  TokenDecoderPtr decoder;  // null: tokens with spaces between them
  std::vector<AddedToken> added;
  std::vector<int64_t> prefix, suffix;  // around a whole text
  std::optional<int64_t> bos, eos;
  std::vector<int64_t> stop_ids;
};

/// As the functions of tokenizer.h, for a caller that knows more.
TokenizerParts parts_from_json(const Json& description);
TokenizerParts parts_from_gguf(const Json& metadata);

}  // namespace lv::llm
