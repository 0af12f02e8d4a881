#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lv::llm {

/// Tokens and their ids. Ids may have gaps.
class Vocabulary {
 public:
  /// Throws kInvalidArgument if the id is negative or absurdly large, or either is there already.
  void add(std::string token, int64_t id);

  std::optional<int32_t> find(std::string_view token) const;
  /// The token, or nullptr if there is none of this id.
  const std::string* token(int64_t id) const;
  /// One more than the largest id.
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  std::vector<const std::string*> tokens_;  // keys of ids_
};

/// Splits a word into tokens. Immutable, thread-safe.
class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;
  /// Appends the ids of `word`, which is valid UTF-8.
  virtual void tokenize(std::string_view word, std::vector<int64_t>& ids) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
};
using TokenModelPtr = std::unique_ptr<const TokenModel>;

/// Which of `size` ids are in the list. Ids beyond are passed over.
std::vector<bool> marked_ids(const std::vector<int64_t>& ids, int64_t size);

/// The ids of "<0x00>" .. "<0xFF>", where the vocabulary has them; -1 elsewhere.
std::vector<int32_t> byte_tokens(const Vocabulary& vocabulary);

/// Appends the ids of each byte, or returns false if one of them has no token.
bool append_bytes(std::string_view bytes, const std::vector<int32_t>& byte_ids,
                  std::vector<int64_t>& ids);

}  // namespace lv::llm
