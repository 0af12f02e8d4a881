#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/params.h"
#include "pipeline/base/registry.h"
#include "pipeline/stage/stage.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// Makes fewer tokens of a clip's, or weights. Immutable and thread-safe.
class Compressor : public MapStage<ClipTokens, VisualContext> {};
using CompressorPtr = std::shared_ptr<const Compressor>;

/// A compressor that leaves tokens, so that another can go on.
class TokenCompressor : public Compressor {
 public:
  VisualContext map(ClipTokens clip) const final;

  /// What is left, in reading order: sizes sum to those that came in, and a report is added that
  /// says what was done. keep = 1 hands the tokens on as they are. `tokens` hold together, as
  /// validate() checks it.
  virtual VisualTokens reduce(const VisualTokens& tokens) const = 0;
};

/// Tokens as a language model reads them; each stands for one where sizes are not said.
CompressedTokens compressed(VisualTokens tokens);

/// The table of compressors. All but keep_all know `keep`, and all but fastv the others:
///   keep    share of the tokens to keep, more than 0, at most 1
///   tokens  how many to keep instead
///   over    picture | clip: what keep and tokens count in
/// A picture keeps one token at least, unless a whole clip has fewer.
const Registry<Compressor, Params>& compressors();

/// Whether a method reads what tokens an encoder attended to, where it is known.
bool wants_saliency(std::string_view method);

/// Runs `methods` one after the other, each on what the one before left. Nothing is done before the
/// clip has passed validate(). Throws kInvalidArgument if one that no other can go on from is
/// followed by another.
CompressorPtr make_chain(std::vector<CompressorPtr> methods);

std::unique_ptr<Compressor> make_dycoke(Params params);
std::unique_ptr<Compressor> make_fastv(Params params);
std::unique_ptr<Compressor> make_flashvid(Params params);
std::unique_ptr<Compressor> make_holitom(Params params);
std::unique_ptr<Compressor> make_keep_all(Params params);
std::unique_ptr<Compressor> make_pool(Params params);
std::unique_ptr<Compressor> make_prumerge(Params params);
std::unique_ptr<Compressor> make_sttm(Params params);
std::unique_ptr<Compressor> make_tome(Params params);
std::unique_ptr<Compressor> make_uniform(Params params);
std::unique_ptr<Compressor> make_visionzip(Params params);

}  // namespace lv::vision
