#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/media.h"
#include "services/models/check_model.h"
#include "services/tasks/captioner.h"

namespace lv::services {

struct SourceForecast {
  std::string name = {};
  MediaInfo media = {};
  int64_t frames = 0;
  int64_t longest_side = 0;  // that its pictures are shrunk to; 0: as they are
  int64_t tokens_in = 0;     // as the encoder gives them
  int64_t tokens_out = 0;    // as the language model reads them
};

/// What a request would take, from the headers of its files.
struct Forecast {
  std::vector<SourceForecast> sources;
  std::vector<CompressionSpec> compression;
  int64_t tokens_in = 0;
  int64_t tokens_out = 0;
  int64_t picture_bytes = 0;   // of all pictures, decoded
  int64_t feature_bytes = 0;   // of all tokens before they are compressed
  int64_t context_bytes = 0;   // of the keys and values of what is left and of the answer
  int64_t weight_bytes = 0;    // of the language model and its eyes, as they are stored
  double encode_ms = 0;        // of all pictures, at the pace of those that were tried
  double compress_ms = 0;      // of all tokens, on noise
  int64_t context_tokens = 0;  // that the model can read; 0 if it does not say
  std::string refusal;         // the first ceiling that would refuse the request; empty for none
};

/// Looks at headers alone; how many tokens pictures make is found out by encoding a black one of
/// each size, and what is left of them by compressing noise of that shape: exact where a method
/// keeps shares, about what films leave where it depends on what they show. Times are those of
/// this machine, now; the language model is not opened, so its own are not foretold.
///
/// With `most_tokens`, first plans frames, sizes of pictures and the share that is kept
/// (visual_plan.h) and writes them into the request; its compression then is one method without
/// keep and tokens that treats each picture by itself (tome if it is empty), its films are sampled
/// evenly, and the count that was asked for is the most that is planned. `model` is what
/// check_model() says, or null. Throws kInvalidArgument where the headers do not tell how many
/// frames are asked for, or where no plan fits; kFailedPrecondition without an encode or compress
/// stage.
Forecast forecast(CaptionRequest& request, const Stages& stages, std::optional<int64_t> most_tokens,
                  const ModelReport* model);

Json to_json(const Forecast& forecast);

}  // namespace lv::services
