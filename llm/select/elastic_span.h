#pragma once

#include <cstdint>
#include <variant>

#include "llm/select/key_span.h"

namespace lv::llm {

/// A span that grows with the text: a band of alpha + beta N tokens, in blocks of 64 and at least
/// one, and the first `sinks` (MoA, arXiv 2406.14909, section 4.1). N is the length that a sequence
/// is planned to have, so that a text is read alike whatever its steps.
struct ElasticSpan {
  double alpha = 0;
  double beta = 0;
  int64_t sinks = 64;

  KeySpan at(int64_t planned_length) const;
};

using SpanRule = std::variant<KeySpan, ElasticSpan>;

/// Whether a rule comes to other spans for sequences of other planned lengths.
inline bool depends_on_length(const SpanRule& rule) {
  return std::holds_alternative<ElasticSpan>(rule);
}

/// What a rule comes to for a sequence.
KeySpan span_at(const SpanRule& rule, int64_t planned_length);

}  // namespace lv::llm
