#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llm/engine/token_constraint.h"
#include "llm/tokenizer/tokenizer.h"

namespace lv::llm {

/// Makes answers JSON that obeys a schema, on one line as ", " and ": " separate it, for one
/// vocabulary. What was compiled for a schema is remembered, the latest 64 MB of it. Thread-safe;
/// constraints are each of one answer.
/// Reference: Dong et al., XGrammar: Flexible and Efficient Structured Generation Engine for Large
/// Language Models, MLSys 2025.
class JsonConstraints {
 public:
  /// `vocabulary` is the model's count of logits, `stop_ids` the tokens that end an answer. Looks
  /// at the tokens when the first constraint is made: 25 ms for 50 thousand.
  JsonConstraints(TokenizerPtr tokenizer, int64_t vocabulary, std::vector<int64_t> stop_ids);
  ~JsonConstraints();

  /// From the beginning of an answer; behind its end only stop ids are allowed. A new schema takes
  /// milliseconds, or seconds with long limits on strings. Throws what exact_schema() throws, and
  /// kFailedPrecondition if there are no stop ids.
  std::shared_ptr<TokenConstraint> make(const std::string& schema) const;

  /// The same for a grammar in XGrammar's EBNF, whose rule `root` an answer obeys. Line ends are
  /// never said. Throws kInvalidArgument on what is no grammar.
  std::shared_ptr<TokenConstraint> of_grammar(const std::string& grammar) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lv::llm
