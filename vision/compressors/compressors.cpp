#include "vision/compressors/compressors.h"

#include <ATen/ATen.h>

#include <iterator>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

TokenOrigin moved(const TokenOrigin& origin, at::Device device) {
  return {origin.pts_seconds.to(device), origin.source.to(device), origin.box.to(device),
          origin.flags.to(device), origin.tile.to(device)};
}

/// Features and what is said of them, on one device.
void move(VisualTokens& tokens, at::Device device) {
  tokens.features = tokens.features.to(device);
  tokens.offsets = tokens.offsets.to(device);
  tokens.origin = moved(tokens.origin, device);
  if (tokens.sizes.defined()) tokens.sizes = tokens.sizes.to(device);
  if (tokens.saliency.defined()) tokens.saliency = tokens.saliency.to(device);
}

bool leaves_tokens(const Compressor& method) {
  return dynamic_cast<const TokenCompressor*>(&method) != nullptr;
}

/// Methods that leave tokens work where the features are, the others on the CPU. What is said of
/// the tokens comes back to the CPU.
class Chain : public Compressor {
 public:
  explicit Chain(std::vector<CompressorPtr> methods) : methods_(std::move(methods)) {}

  VisualContext map(ClipTokens clip) const override {
    validate(clip);
    move(clip.visual, clip.visual.features.device());
    // What the encoder reports is for the first method, which may be what did it.
    std::vector<CompressionReport> reports;
    for (size_t i = 0; i + 1 < methods_.size(); ++i) {
      clip.visual = dynamic_cast<const TokenCompressor&>(*methods_[i]).reduce(clip.visual);
      std::move(clip.visual.reports.begin(), clip.visual.reports.end(),
                std::back_inserter(reports));
      clip.visual.reports.clear();
    }
    if (!leaves_tokens(*methods_.back())) move(clip.visual, at::kCPU);
    VisualContext context = methods_.back()->map(std::move(clip));
    if (auto* tokens = std::get_if<CompressedTokens>(&context)) {
      tokens->reports.insert(tokens->reports.begin(), reports.begin(), reports.end());
      tokens->sizes = tokens->sizes.cpu();
      tokens->origin = moved(tokens->origin, at::kCPU);
    }
    return context;
  }

 private:
  std::vector<CompressorPtr> methods_;
};

}  // namespace

CompressedTokens compressed(VisualTokens tokens) {
  if (!tokens.sizes.defined()) {
    tokens.sizes = at::ones({tokens.features.size(0)}, tokens.features.options().dtype(at::kFloat));
  }
  return {std::move(tokens.features), std::move(tokens.sizes), std::move(tokens.origin),
          std::move(tokens.reports)};
}

VisualContext TokenCompressor::map(ClipTokens clip) const {
  return compressed(reduce(clip.visual));
}

CompressorPtr make_chain(std::vector<CompressorPtr> methods) {
  check(!methods.empty(), ErrorCode::kInvalidArgument,
        "compression: expected at least one method, got none");
  for (size_t i = 0; i + 1 < methods.size(); ++i) {
    check(leaves_tokens(*methods[i]), ErrorCode::kInvalidArgument,
          "compression: method " + std::to_string(i + 1) + " of " + std::to_string(methods.size()) +
              " is one that no other goes on from; expected it last");
  }
  return std::make_shared<Chain>(std::move(methods));
}

bool wants_saliency(std::string_view method) {
  return method == "flashvid" || method == "holitom" || method == "prumerge" ||
         method == "visionzip";
}

const Registry<Compressor, Params>& compressors() {
  static const Registry<Compressor, Params> all{"compressor",
                                                {
                                                    {"dycoke", make_dycoke},
                                                    {"fastv", make_fastv},
                                                    {"flashvid", make_flashvid},
                                                    {"holitom", make_holitom},
                                                    {"keep_all", make_keep_all},
                                                    {"pool", make_pool},
                                                    {"prumerge", make_prumerge},
                                                    {"sttm", make_sttm},
                                                    {"tome", make_tome},
                                                    {"uniform", make_uniform},
                                                    {"visionzip", make_visionzip},
                                                }};
  return all;
}

}  // namespace lv::vision
