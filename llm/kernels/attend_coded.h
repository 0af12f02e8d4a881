#pragma once

#include <cstdint>

#include "llm/kernels/attend_rows.h"
#include "llm/kv/kivi.h"

namespace lv::llm {

/// One head of a page of coded keys or values: `width` vectors; see KiviFormat.
struct CodedHead {
  const uint8_t* codes;
  const uint16_t* scales;  // float16
  const uint16_t* zeros;
};

struct CodedBlock {
  CodedHead keys, values;
  KiviFormat format;
  int64_t begin = 0, end = 0;  // of the page's tokens, those that are seen
};

/// What attend_rows() does, of codes as they lie: with q' = q * scale a key's score is q' . code +
/// q . zero, and with p' = p * scale the sum of values is p' . code + p . zero.
void attend_coded(const RunningRows& rows, const CodedBlock& block);

/// The same where has_avx2(), of groups of 32.
void attend_coded_avx2(const RunningRows& rows, const CodedBlock& block);

}  // namespace lv::llm
