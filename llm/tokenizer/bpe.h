#pragma once

#include <string>
#include <utility>
#include <vector>

#include "llm/tokenizer/token_model.h"
#include "pipeline/base/json.h"

namespace lv::llm {

struct BpeOptions {
  std::string unknown;              // the token for what the vocabulary lacks; empty: dropped
  std::string continuation_prefix;  // before every character but a word's first
  std::string word_suffix;          // behind a word's last character
  bool byte_fallback = false;       // unknown characters become "<0x..>" tokens
  bool fuse_unknown = false;        // neighbouring unknown characters become one token
  bool ignore_merges = false;       // a word that is a token stays whole
  std::vector<int64_t> not_text;    // ids that no text becomes: special tokens
};
using TokenPair = std::pair<std::string, std::string>;

/// Byte-pair encoding by ranked merges.
/// Throws kInvalidArgument on a merge of, or into, a token that is not in the vocabulary.
/// Reference: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units, 2016.
TokenModelPtr make_bpe(Vocabulary vocabulary, const std::vector<TokenPair>& merges,
                       BpeOptions options);

/// "a b" -> ("a", "b"). Throws kInvalidArgument if there is not exactly one space between two
/// tokens.
TokenPair parse_merge(const std::string& text);

struct ScoredBpeOptions {
  int32_t unknown_id = -1;        // -1: unknown characters are dropped
  bool byte_fallback = true;      // unknown characters become "<0x..>" tokens where all are there
  std::vector<int64_t> not_text;  // ids that no text becomes: special tokens, bytes
};

/// SentencePiece's BPE without a list of merges: neighbours become the token of the highest score.
/// A run of unknown characters becomes one token.
TokenModelPtr make_scored_bpe(Vocabulary vocabulary, std::vector<double> scores,
                              ScoredBpeOptions options);

}  // namespace lv::llm
