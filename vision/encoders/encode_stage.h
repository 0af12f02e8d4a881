#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline/stage/stage.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/visual_tokens.h"
#include "vision/compressors/tome_params.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/encoder_replay.h"
#include "vision/encoders/image_encoder.h"
#include "vision/preprocess/image_processor.h"

namespace lv::vision {

/// What one encode stage is made of.
struct EncodeParts {
  ImageProcessorPtr processor;
  ImageProcessorPtr film_processor;  // for the frames of a film; null: `processor` for those, too
  ImageEncoderPtr encoder;
  ConnectorPtr connector;                // null hands the encoder's own features on
  ArrangerPtr arranger;                  // null leaves every tile by itself
  std::vector<std::string> class_names;  // of the encoder's class head; empty: no labels
  std::string architecture = {};         // of the encoder, as error texts name it
  /// How tokens merge in the encoder of a model that was trained so.
  std::optional<LayerMerging> merging = {};
  ImageProcessorPtr page_processor = {};  // for pages of documents; null: as for other stills
  at::Device device = at::kCPU;           // where the encoder's weights are
  std::shared_ptr<const EncoderReplay> replay = {};  // of `encoder`, for all stages made of these
                                                     // parts; null: each has its own
};

/// What of `parts` keeps tokens from merging between the encoder's layers; empty if they can.
std::string merging_obstacle(const EncodeParts& parts);

/// How tokens are to merge between the layers for somebody who asks for `tome`; nothing if that is
/// to be done afterwards.
std::optional<LayerMerging> merging_for(const TomeParams& tome, const EncodeParts& parts);

struct EncodeOptions {
  int64_t max_frames = 0;                    // in one next(); 0: as many as are encoded at once
  int64_t max_set_pictures = 256;            // that an image processor regards together
  int64_t max_set_pixels = 1LL << 28;        // of all of them, which wait until the last is there
  int64_t labels = 5;                        // per picture, at most
  double min_probability = 0.02;             // of a label
  std::optional<LayerMerging> merging = {};  // between the encoder's layers; reported if set
  bool saliency = false;                     // whether tokens say it, where the encoder can
};

/// Frames to visual tokens, which keep their batch's source. Few pictures are encoded at once on a
/// CPU, many on a GPU, where pixels are prepared, too. A batch of more than `max_frames`
/// frames comes out in several values; joined() puts them together again. Each token's box is the
/// part of the frame that its cell shows, also where the image processor crops or cuts, and where
/// the connector makes fewer cells.
///
/// The stills of one run are one set. Where the image processor regards them together, they come
/// out after everything else, once the input ended, in their order.
/// Throws kInvalidArgument unless there is one class name for each output of the class head,
/// kUnimplemented if tokens are to merge and cannot; a run throws kResourceExhausted on a set that
/// is too large.
StagePtr<FrameBatch, VisualTokens> make_encode(EncodeParts parts, EncodeOptions options = {});

/// The pictures of all parts, in order, as one value. Parts must have one width.
VisualTokens joined(const std::vector<VisualTokens>& parts);

}  // namespace lv::vision
