#pragma once

#include <vector>

#include "llm/tokenizer/token_model.h"

namespace lv::llm {

struct UnigramOptions {
  int32_t unknown_id = -1;        // -1: unknown characters are an error
  bool byte_fallback = false;     // unknown characters become "<0x..>" tokens
  bool float_sums = false;        // scores add up as SentencePiece's do, in single precision
  std::vector<int64_t> not_text;  // ids that no text becomes: special tokens
};

/// The most likely split of a word: the highest sum of log-probabilities, by Viterbi's algorithm.
/// A run of unknown characters becomes one token.
/// Reference: Kudo, Subword Regularization, ACL 2018.
TokenModelPtr make_unigram(Vocabulary vocabulary, std::vector<double> scores,
                           UnigramOptions options);

}  // namespace lv::llm
