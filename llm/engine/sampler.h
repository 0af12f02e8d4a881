#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "llm/engine/token_constraint.h"
#include "pipeline/types/prompt.h"

namespace lv::llm {

/// Chooses the tokens of one sequence. What it draws depends on the options, the logits and what
/// was said before, and on nothing that runs beside it. Not thread-safe.
///
/// In this order: the constraint, the repetition penalty over all tokens seen, temperature, top-k,
/// top-p, min-p, a draw. Temperature 0 takes the largest; equal scores go to the lower id.
class Sampler {
 public:
  /// `constraint` goes on with each token that is chosen; null for none.
  Sampler(const GenerationOptions& options, int64_t vocabulary,
          std::shared_ptr<TokenConstraint> constraint = nullptr);

  /// Counts tokens of the prompt for the repetition penalty.
  void observe(const std::vector<int64_t>& ids);

  /// The next token after `logits` [V] float32. Throws kInternal if none of them is a finite
  /// number, or none that the constraint allows, and what the constraint throws.
  int64_t next(const at::Tensor& logits);

  /// Whether next() only looks for the largest score, which a device may find by itself; then
  /// take() goes on with that. Throws as next() if `score` is not a finite number.
  bool takes_largest() const;
  int64_t take(int64_t id, double score);

 private:
  int64_t go_on(int64_t id);
  void penalise(std::vector<float>& scores) const;

  GenerationOptions options_;
  std::shared_ptr<TokenConstraint> constraint_;
  std::vector<bool> seen_;  // [V]
  std::vector<float> scores_;
  uint64_t drawn_ = 0;
};

}  // namespace lv::llm
