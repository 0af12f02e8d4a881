#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/params.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/compressors/compressors.h"

namespace lv::vision {

/// A trained one that a request may ask something of.
class AskedCompressor : public Compressor {
 public:
  /// The same as a request's parameters want it. Throws kInvalidArgument that names the key.
  virtual CompressorPtr with(Params params) const = 0;
};

/// A compressor that was trained with a model.
struct TrainedCompressor {
  std::string_view name;          // as requests name it
  std::string_view architecture;  // of the whole models that hold its weights
  std::unique_ptr<Compressor> (*make)(const Checkpoint& part);
  bool hears = false;  // whether it reads features of sound
};

/// The table of them. A factory reads the configuration of the whole and the weights of its
/// compressor_part().
const std::vector<TrainedCompressor>& trained_compressors();

/// The compressor of a compressor_part(). Throws if the part holds tensors that it does not read.
std::unique_ptr<Compressor> make_trained_compressor(const Checkpoint& part);

/// What a model has of its own to compress with: nothing where its language model was trained to
/// read the tokens of its eyes.
struct OwnCompressor {
  std::string model;  // as error texts name it
  std::string name;
  std::shared_ptr<const Compressor> compressor;  // null for nothing
  bool hears = false;                            // as TrainedCompressor
};

/// Of a checkpoint of any model. Throws kInvalidArgument that lists the tensors that are missing,
/// have other shapes or are left over.
OwnCompressor load_own_compressor(const Checkpoint& checkpoint);

/// The compressor called `name`: one of compressors(), or the model's own. Throws kNotFound on a
/// name in neither table, kFailedPrecondition on a trained one that the model does not have.
std::shared_ptr<const Compressor> make_compressor(const std::string& name, Params params,
                                                  const OwnCompressor& own);

/// Makes tokens of one source fewer by `one`, those of several about which a question is asked by
/// `several`.
CompressorPtr make_by_views(CompressorPtr one, CompressorPtr several);

std::unique_ptr<Compressor> make_combiner(const Checkpoint& part);
std::unique_ptr<Compressor> make_interactor(const Checkpoint& part);
std::unique_ptr<Compressor> make_vlora(const Checkpoint& part);

}  // namespace lv::vision
