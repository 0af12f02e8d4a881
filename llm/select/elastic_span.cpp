#include "llm/select/elastic_span.h"

#include <algorithm>
#include <cmath>

namespace lv::llm {
namespace {

constexpr int64_t kBlock = 64;

}  // namespace

KeySpan ElasticSpan::at(int64_t planned_length) const {
  const double blocks =
      std::floor(alpha / kBlock) + beta * static_cast<double>(planned_length) / kBlock;
  const int64_t band = kBlock * std::max<int64_t>(1, static_cast<int64_t>(blocks));
  // A band that leaves out less than a block of the text is the whole of it.
  if (band + kBlock > planned_length) return {};
  return {band, sinks};
}

KeySpan span_at(const SpanRule& rule, int64_t planned_length) {
  if (const auto* fixed = std::get_if<KeySpan>(&rule)) return *fixed;
  return std::get<ElasticSpan>(rule).at(planned_length);
}

}  // namespace lv::llm
