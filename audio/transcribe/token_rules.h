#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "audio/transcribe/vocabulary.h"

namespace lv::audio {

/// Ids that a model must not say, from its folder.
struct SuppressedTokens {
  std::vector<int64_t> always;
  std::vector<int64_t> at_start;
};

/// Reads `suppress_tokens` and `begin_suppress_tokens` of generation_config.json in `folder`, else
/// of `config`. Special tokens that are never said are added.
SuppressedTokens read_suppressed_tokens(const std::string& folder, const Json& config,
                                        const Vocabulary& vocabulary);

/// What may be said next. A transcript is pairs of timestamps with text between them, and time does
/// not run backwards. Immutable.
///
/// Reference: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022,
/// section 4.5.
class TokenRules {
 public:
  TokenRules(const Vocabulary& vocabulary, SuppressedTokens suppressed,
             double max_initial_timestamp_seconds);

  /// Sets the ids that may not follow `said` (what was said in this window) to minus infinity.
  /// `logits`: [V] float32 on the CPU, changed in place.
  ///
  /// The first id is a timestamp of at most max_initial_timestamp_seconds. After an opening
  /// timestamp comes text; after a closing one an opening one or the end. A closing timestamp is
  /// later than its opening one. If the timestamps together are likelier than every text token, one
  /// of them is said.
  void apply(const at::Tensor& logits, std::span<const int64_t> said) const;

 private:
  void apply_timestamps(const at::Tensor& logits, std::span<const int64_t> said) const;

  const Vocabulary& vocabulary_;
  at::Tensor always_, at_start_;  // [n] int64
  int64_t last_initial_;          // the last timestamp that may come first
};

}  // namespace lv::audio
