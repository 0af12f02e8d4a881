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
/// middle.
/// Reference: Wang et al., Qwen2-VL, arXiv 2409.12191, section 2.1. Differs: each frame of a film
/// is a picture of its own, since the times between frames are text.
at::Tensor grid_positions(const TokenSequence& sequence);

/// Where the rows of a sequence stand whose model wears its pictures: [n, 1] int64, one after
/// another. Visual tokens of no rows stand for a picture that is worn: it takes a place at which
/// nothing stands, as in training, where a token that nothing looks at stood there.
at::Tensor positions_beside_worn(const TokenSequence& sequence);

}  // namespace lv::llm
