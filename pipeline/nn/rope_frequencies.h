#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/base/json.h"

namespace lv {

/// What a policy of rotary position embedding works from.
struct RopeSettings {
  std::string kind = "default";
  double theta = 10000;
  int64_t rotary_size = 0;        // rotated dimensions of a head, Dr: even
  int64_t max_positions = 2048;   // what the checkpoint says it reads
  Json keys;                      // the policy's own, under their Hugging Face names
  std::vector<int64_t> sections;  // pairs that turn with each axis of a place; none: one axis
};

/// Radians per token of each pair of dimensions. cos and sin are multiplied by `attention_factor`.
struct RopeFrequencies {
  at::Tensor inverse;  // [Dr / 2] float64
  double attention_factor = 1;
};

/// The settings in a Hugging Face configuration: rope_parameters, or rope_theta and rope_scaling.
/// mrope_section shares the pairs out among time, row and column (Wang et al., Qwen2-VL, arXiv
/// 2409.12191, section 2.1). Throws kInvalidArgument that names the key.
RopeSettings rope_settings(const Json& config, int64_t head_size);

/// The key `rounded_to` (bfloat16 or float16) stands for an implementation that keeps its
/// frequencies in that type; what it computes anew for longer texts is not rounded.
///
/// The frequencies of a sequence that will be `length` tokens long; most policies do not care.
/// Throws kNotFound on an unknown kind, kInvalidArgument on a key that is missing or out of range.
///
/// default, linear, dynamic, yarn, llama3 and longrope are what checkpoints name; ntk is dynamic
/// with a fixed factor. giraffe scales by 1 / factor, then multiplies by (1 - 2j / Dr)^power, then
/// truncates: frequencies that do not turn once within `trained_length` tokens become a constant,
/// and those below an eighth of that zero.
/// Reference: Peng et al., YaRN, ICLR 2024; Ding et al., LongRoPE, ICML 2024; Pal et al., Giraffe,
/// arXiv 2308.10882, section 3. Differs: Giraffe's randomised positions are for training only.
RopeFrequencies rope_frequencies(const RopeSettings& settings, int64_t length);

/// Whether the frequencies change with a sequence's length.
bool depends_on_length(const RopeSettings& settings);

std::vector<std::string> rope_kinds();

}  // namespace lv
