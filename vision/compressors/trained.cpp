#include "vision/compressors/trained.h"

#include <algorithm>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/weights/fitting.h"
#include "pipeline/weights/model_parts.h"

namespace lv::vision {
namespace {

const TrainedCompressor& entry_of(const Checkpoint& checkpoint) {
  const auto& all = trained_compressors();
  const auto entry =
      std::ranges::find(all, checkpoint.architecture(), &TrainedCompressor::architecture);
  check(entry != all.end(), ErrorCode::kUnimplemented,
        checkpoint.name() + ": its compressor is not read here");
  return *entry;
}

}  // namespace

const std::vector<TrainedCompressor>& trained_compressors() {
  static const std::vector<TrainedCompressor> all{
      {"combiner", "LlavaCombinerForConditionalGeneration", make_combiner, true},
      {"interactor", "NanoForConditionalGeneration", make_interactor},
      {"vlora", "LlavaLlamaVLoRAForCausalLM", make_vlora},
  };
  return all;
}

std::unique_ptr<Compressor> make_trained_compressor(const Checkpoint& part) {
  auto made = entry_of(part).make(part);
  part.finish();
  return made;
}

OwnCompressor load_own_compressor(const Checkpoint& checkpoint) {
  OwnCompressor own{checkpoint.name(), {}, nullptr, false};
  if (!has_compressor(checkpoint)) return own;
  const TrainedCompressor& entry = entry_of(checkpoint);
  own.name = entry.name;
  own.hears = entry.hears;
  own.compressor = build_fitting(checkpoint, [](const Checkpoint& whole) {
    return make_trained_compressor(compressor_part(whole));
  });
  return own;
}

std::shared_ptr<const Compressor> make_compressor(const std::string& name, Params params,
                                                  const OwnCompressor& own) {
  const auto& all = trained_compressors();
  if (std::ranges::find(all, name, &TrainedCompressor::name) == all.end()) {
    return compressors().make(name, std::move(params));
  }
  check(own.compressor != nullptr && own.name == name, ErrorCode::kFailedPrecondition,
        "compressor " + name + ": its weights come with a model that was trained with it, and " +
            own.model + " has none");
  if (const auto* asked = dynamic_cast<const AskedCompressor*>(own.compressor.get())) {
    return asked->with(std::move(params));
  }
  params.done(name);
  return own.compressor;
}

}  // namespace lv::vision
