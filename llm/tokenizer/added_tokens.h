#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "llm/tokenizer/byte_trie.h"
#include "llm/tokenizer/normalizers.h"
#include "llm/tokenizer/parts.h"

namespace lv::llm {

/// A stretch of text, or an added token.
struct Section {
  size_t begin = 0, end = 0;
  int64_t token = -1;  // its id; -1: text
};

/// Finds added tokens in text: the leftmost first, of those that begin there the longest.
/// Immutable, thread-safe.
class AddedTokenFinder {
 public:
  /// `contents` are the tokens' texts as they stand in the text that is searched.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  bool empty() const { return tokens_.empty(); }
  /// All of the text, in order. Tokens that only repeat white space and are not special are plain
  /// text and recognised everywhere, the others only where the text allows it.
  std::vector<Section> split(const MarkedText& text) const;

 private:
  struct Match {
    const AddedToken* token = nullptr;
    size_t end = 0;
  };
  Match match_at(const MarkedText& text, size_t begin) const;

  std::vector<AddedToken> tokens_;
  std::vector<bool> plain_;  // by index, as tokens_
  ByteTrie trie_;
};

}  // namespace lv::llm
