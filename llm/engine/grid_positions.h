#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/types/prompt.h"

namespace lv::llm {

/// Time, row and column of each row of a sequence: [n, 3] int64. Text has three equal numbers, one
/// more for each token. A picture's tokens share the number that follows the text before as their
/// time, and count rows and columns from there; what follows goes on behind the largest of them.
///
/// A picture is a run of tokens of one source and time. Its grid is told from the boxes of its
/// tokens: the smallest is a place, and a token that stands for several is where its box has its
/// middle. Frames of a film, one source at several times, count from the same row and column; their
/// times are as far apart as the usual step between them, `tokens_per_second` for each second, and
/// what follows goes on behind rows and columns alone.
/// Reference: Bai et al., Qwen2.5-VL Technical Report, arXiv 2502.13923, section 2.1.2; as
/// transformers 5.17 counts. Differs: there a step is rounded down to whole seconds first.
at::Tensor grid_positions(const TokenSequence& sequence, double tokens_per_second = 4);

/// Where the rows of a sequence stand whose model wears its pictures: [n, 1] int64, one after
/// another. Visual tokens of no rows stand for a picture that is worn: it takes a place at which
/// nothing stands, as in training, where a token that nothing looks at stood there.
at::Tensor positions_beside_worn(const TokenSequence& sequence);

}  // namespace lv::llm
