#include "vision/encoders/efficientnet_lite.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <string>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

int64_t positive(const Json& value, const char* name) {
  const int64_t number = value.as_int();
  check(number >= 1 && number <= 1 << 16, ErrorCode::kInvalidArgument,
        std::string(name) + ": expected 1 to 65536, got " + std::to_string(number));
  return number;
}

at::Tensor conv_weight(const WeightScope& conv, const FoldedConv::Shape& shape) {
  return conv.get("weight", {shape.out, shape.in / shape.groups, shape.kernel, shape.kernel});
}

/// One stage of the configuration: (repeats, kernel, stride, expansion, channels).
struct Stage {
  explicit Stage(const Json& entry) {
    const Json::Array& numbers = entry.as_array();
    check(numbers.size() == 5, ErrorCode::kInvalidArgument,
          "stages: expected (repeats, kernel, stride, expansion, channels), got " + entry.dump());
    repeats = positive(numbers[0], "stages.repeats");
    kernel = positive(numbers[1], "stages.kernel");
    stride = positive(numbers[2], "stages.stride");
    expansion = positive(numbers[3], "stages.expansion");
    channels = positive(numbers[4], "stages.channels");
  }

  int64_t repeats, kernel, stride, expansion, channels;
};

}  // namespace

double batch_norm_eps(const Json& config) { return config.get("batch_norm_eps", 1e-3); }

FoldedConv::FoldedConv(const WeightScope& conv, const Shape& shape, bool relu)
    : shape_(shape),
      relu_(relu),
      weight_(conv_weight(conv, shape).contiguous(at::MemoryFormat::ChannelsLast)),
      bias_(conv.get("bias", {shape.out})) {}

FoldedConv::FoldedConv(const WeightScope& conv, const WeightScope& norm, const Shape& shape,
                       double eps, bool relu)
    : shape_(shape), relu_(relu) {
  const at::Tensor weight = conv_weight(conv, shape);
  const auto parameter = [&](const char* name) {
    return norm.get(name, {shape.out}).to(at::kDouble);
  };
  const at::Tensor mean = parameter("running_mean");
  const at::Tensor scale = parameter("weight") / (parameter("running_var") + eps).sqrt();
  weight_ = (weight.to(at::kDouble) * scale.view({-1, 1, 1, 1}))
                .to(weight.scalar_type())
                .contiguous(at::MemoryFormat::ChannelsLast);
  bias_ = (parameter("bias") - mean * scale).to(weight.scalar_type());
}

at::Tensor FoldedConv::operator()(at::Tensor x) const {
  const auto [top, bottom] = padding(x.size(2));
  const auto [left, right] = padding(x.size(3));
  std::array<int64_t, 2> both_sides{top, left};
  if (top != bottom || left != right) {
    x = at::constant_pad_nd(x, {left, right, top, bottom});
    both_sides = {0, 0};
  }
  x = at::conv2d(x, weight_, bias_, shape_.stride, both_sides, 1, shape_.groups);
  return relu_ ? x.clamp_(0, 6) : x;
}

std::pair<int64_t, int64_t> FoldedConv::padding(int64_t length) const {
  const int64_t out = (length + shape_.stride - 1) / shape_.stride;
  const int64_t total = std::max<int64_t>(0, (out - 1) * shape_.stride + shape_.kernel - length);
  return {total / 2, total - total / 2};
}

EfficientNetLiteTrunk::EfficientNetLiteTrunk(const Json& config, const WeightScope& scope,
                                             Norms norms) {
  const double eps = batch_norm_eps(config);
  int64_t channels = positive(config.at("stem_channels"), "stem_channels"), stride = 2;
  const FoldedConv::Shape stem{3, channels, 3, 2, 1};
  if (norms == Norms::kFolded) {
    stem_.emplace_back(scope / "stem", stem, true);
  } else {
    stem_.emplace_back(scope / "_conv_stem", scope / "_bn0", stem, eps, true);
  }
  for (const Json& entry : config.at("stages").as_array()) {
    const Stage stage(entry);
    for (int64_t i = 0; i < stage.repeats; ++i) {
      const WeightScope at = scope / (norms == Norms::kFolded ? "blocks" : "_blocks") / blocks();
      const int64_t wide = channels * stage.expansion, step = i == 0 ? stage.stride : 1;
      Block block{{}, step == 1 && channels == stage.channels, stage.channels, stride *= step};
      const auto add = [&](const char* conv, const char* norm, const FoldedConv::Shape& shape,
                           bool relu) {
        if (norms == Norms::kFolded) {
          block.layers.emplace_back(at / "layers" / static_cast<int64_t>(block.layers.size()),
                                    shape, relu);
        } else {
          block.layers.emplace_back(at / conv, at / norm, shape, eps, relu);
        }
      };
      if (stage.expansion != 1) add("_expand_conv", "_bn0", {channels, wide, 1, 1, 1}, true);
      add("_depthwise_conv", "_bn1", {wide, wide, stage.kernel, step, wide}, true);
      add("_project_conv", "_bn2", {wide, stage.channels, 1, 1, 1}, false);
      blocks_.push_back(std::move(block));
      channels = stage.channels;
    }
  }
  check(!blocks_.empty(), ErrorCode::kInvalidArgument, "stages: expected at least one, got none");
}

std::vector<at::Tensor> EfficientNetLiteTrunk::maps(const at::Tensor& picture,
                                                    const std::vector<int64_t>& taps) const {
  at::Tensor x = stem_.front()(picture.contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<at::Tensor> maps;
  for (int64_t i = 0; i < blocks(); ++i) {
    check_cancelled();
    x = through(blocks_[static_cast<size_t>(i)], x);
    if (std::ranges::find(taps, i) != taps.end()) maps.push_back(x);
  }
  return maps;
}

at::Tensor EfficientNetLiteTrunk::through(const Block& block, const at::Tensor& input) const {
  at::Tensor x = input;
  for (const FoldedConv& layer : block.layers) x = layer(x);
  return block.adds_input ? x.add_(input) : x;
}

namespace {

/// EfficientNet-Lite with its head. The features are the map before pooling; the classifier is
/// linear, so it names single places as well as the mean.
class EfficientNetLite : public ImageEncoder {
 public:
  EfficientNetLite(const Json& config, const WeightScope& scope)
      : width_(positive(config.at("head_channels"), "head_channels")),
        trunk_(config, scope, EfficientNetLiteTrunk::Norms::kApart),
        top_(scope / "_conv_head", scope / "_bn1",
             {trunk_.channels(trunk_.blocks() - 1), width_, 1, 1, 1}, batch_norm_eps(config), true),
        head_(scope / "_fc", width_, positive(config.at("num_classes"), "num_classes")) {}

  PictureFeatures encode(const at::Tensor& pixels) const override {
    check_shape(pixels, "pixels", {-1, 3, -1, -1});
    check(pixels.numel() > 0, ErrorCode::kInvalidArgument, "pixels: expected pictures, got none");
    std::vector<at::Tensor> maps;
    // One by one: the activations of one picture fit the cache, those of a batch do not.
    for (const at::Tensor& picture : pixels.split(1)) {
      maps.push_back(top_(trunk_.maps(picture, {trunk_.blocks() - 1}).front()));
    }
    const at::Tensor all = at::cat(maps);  // [P, D, rows, columns]
    return {all.permute({0, 2, 3, 1}).reshape({all.size(0), -1, width_}),
            {static_cast<int32_t>(all.size(2)), static_cast<int32_t>(all.size(3))}};
  }

  int64_t width() const override { return width_; }
  const Linear* class_head() const override { return &head_; }

 private:
  int64_t width_;
  EfficientNetLiteTrunk trunk_;
  FoldedConv top_;
  Linear head_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_efficientnet_lite(const Json& config, const WeightScope& scope) {
  return std::make_unique<EfficientNetLite>(config, scope);
}

}  // namespace lv::vision
