#include "vision/compressors/compressors.h"

#include <ATen/ATen.h>

#include <iterator>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

class Chain : public Compressor {
 public:
  explicit Chain(std::vector<CompressorPtr> methods) : methods_(std::move(methods)) {}

  VisualContext map(ClipTokens clip) const override {
    validate(clip);
    // What the encoder reports is for the first method, which may be what did it.
    std::vector<CompressionReport> reports;
    for (size_t i = 0; i + 1 < methods_.size(); ++i) {
      clip.visual = dynamic_cast<const TokenCompressor&>(*methods_[i]).reduce(clip.visual);
      std::move(clip.visual.reports.begin(), clip.visual.reports.end(),
                std::back_inserter(reports));
      clip.visual.reports.clear();
    }
    VisualContext context = methods_.back()->map(std::move(clip));
    if (auto* tokens = std::get_if<CompressedTokens>(&context)) {
      tokens->reports.insert(tokens->reports.begin(), reports.begin(), reports.end());
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
    check(dynamic_cast<const TokenCompressor*>(methods[i].get()) != nullptr,
          ErrorCode::kInvalidArgument,
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
