#pragma once

#include <memory>

#include "pipeline/base/params.h"
#include "pipeline/base/registry.h"
#include "pipeline/stage/stage.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// Makes fewer tokens of a clip's. Immutable and thread-safe.
///
/// What comes out as CompressedTokens is in reading order; sizes sum to the tokens that went in; a
/// report says what was done. keep = 1 hands the tokens on as they are.
class Compressor : public MapStage<ClipTokens, VisualContext> {};

/// The table of compressors. All but keep_all know these keys:
///   keep    share of the tokens to keep, more than 0, at most 1
///   tokens  how many to keep instead
///   over    picture | clip: what keep and tokens count in
const Registry<Compressor, Params>& compressors();

std::unique_ptr<Compressor> make_keep_all(Params params);
std::unique_ptr<Compressor> make_pool(Params params);
std::unique_ptr<Compressor> make_tome(Params params);
std::unique_ptr<Compressor> make_uniform(Params params);

}  // namespace lv::vision
