#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/types/visual_tokens.h"

namespace lv::services {

/// The tokens of several batches, each of one source, as one: source by source, in the order given
/// within each. All parts have features of one width. No part: [0, 0] features.
VisualTokens joined(std::vector<VisualTokens> parts);

/// The rows of one source whose time lies on [start, end), in their order.
CompressedTokens between(const CompressedTokens& tokens, int32_t source, double start_seconds,
                         double end_seconds);

}  // namespace lv::services
