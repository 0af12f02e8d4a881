#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/json.h"

namespace lv {
class Checkpoint;
}

namespace lv::llm {

struct TokenizerParts;  // llm/tokenizer/parts.h

/// A stretch of text to tokenise. Bytes that are no UTF-8 are read as U+FFFD.
struct TextPiece {
  std::string_view text;
  bool special_allowed = false;  // false for whatever a user wrote
};

/// Text to ids and back. Immutable, thread-safe.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();

  /// The ids of the pieces' concatenation: text runs on across the borders of pieces. Special
  /// tokens are recognised only where all of their characters allow it. Nothing is added at the
  /// ends.
  std::vector<int64_t> encode(std::span<const TextPiece> pieces) const;
  std::vector<int64_t> encode(std::string_view text, bool special_allowed = false) const;

  /// The ids with what the tokenizer puts around a whole text, e.g. a begin token.
  std::vector<int64_t> with_ends(std::vector<int64_t> ids) const;

  /// Valid UTF-8. Ids that are not in the vocabulary are skipped, special tokens if asked for.
  std::string decode(std::span<const int64_t> ids, bool skip_special = true) const;

  std::optional<int64_t> id_of(std::string_view token) const;
  /// The token as the vocabulary writes it. Throws kOutOfRange.
  const std::string& token(int64_t id) const;
  bool is_special(int64_t id) const;
  /// What the token adds to a text that has begun; may end within a character. Empty for special
  /// tokens and for ids that are not in the vocabulary.
  std::string bytes(int64_t id) const;
  /// One more than the largest id.
  int64_t size() const;

  std::optional<int64_t> bos() const;
  std::optional<int64_t> eos() const;
  /// Tokens that end an answer, eos among them.
  const std::vector<int64_t>& stop_ids() const;

 private:
  friend class StreamDecoder;
  struct State;
  std::unique_ptr<const State> state_;
};
using TokenizerPtr = std::shared_ptr<const Tokenizer>;

/// Decodes ids as they arrive, into whole characters. What it returns, put together, is decode() of
/// all ids wherever they stand for valid UTF-8. Not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(TokenizerPtr tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  /// The text that is certain after this id; may be empty.
  std::string push(int64_t id);
  /// What an unfinished character leaves: U+FFFD or nothing.
  std::string finish();

 private:
  TokenizerPtr tokenizer_;
  bool skip_special_;
  bool first_ = true;
  std::string pending_;  // the beginning of a character
};

/// A Hugging Face tokenizer.json. Throws kInvalidArgument, or kUnimplemented on a part that is not
/// understood, by name.
TokenizerPtr load_tokenizer_json(const std::string& path);
TokenizerPtr tokenizer_from_json(const Json& description);

/// From the key-values of a GGUF file (tokenizer.ggml.*). Same errors.
TokenizerPtr tokenizer_from_gguf(const Json& metadata);

/// A SentencePiece model's own bytes, as in tokenizer.model. Same errors.
TokenizerPtr tokenizer_from_sentence_piece(std::string_view bytes);

/// The tokenizer that comes with a model: the GGUF file's own, or tokenizer.json or tokenizer.model
/// in its folder, with the tokens that the folder's other files add or name. Throws kNotFound if it
/// has none.
TokenizerPtr load_tokenizer(const Checkpoint& checkpoint);

}  // namespace lv::llm
