#include <ATen/ATen.h>

#include <array>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

/// A convolution with its batch norm folded in, and ReLU6 if asked. Pads like TensorFlow's SAME:
/// with an odd amount, the last side gets one more.
class FoldedConv {
 public:
  struct Shape {
    int64_t in, out, kernel, stride, groups;
  };

  FoldedConv(const WeightScope& conv, const WeightScope& norm, const Shape& shape, double eps,
             bool relu)
      : shape_(shape), relu_(relu) {
    const at::Tensor weight =
        conv.get("weight", {shape.out, shape.in / shape.groups, shape.kernel, shape.kernel});
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

  at::Tensor operator()(at::Tensor x) const {
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

 private:
  std::pair<int64_t, int64_t> padding(int64_t length) const {
    const int64_t out = (length + shape_.stride - 1) / shape_.stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * shape_.stride + shape_.kernel - length);
    return {total / 2, total - total / 2};
  }

  Shape shape_;
  bool relu_;
  at::Tensor weight_;  // [out, in / groups, k, k], channels last
  at::Tensor bias_;    // [out]
};

/// Widens by a 1x1 convolution, filters each channel by itself, narrows again; adds its input
/// where the shape stays.
class InvertedBottleneck {
 public:
  struct Shape {
    int64_t in, out, kernel, stride, expansion;
  };

  InvertedBottleneck(const WeightScope& scope, const Shape& shape, double eps)
      : adds_input_(shape.stride == 1 && shape.in == shape.out) {
    const int64_t wide = shape.in * shape.expansion;
    if (shape.expansion != 1) {
      layers_.emplace_back(scope / "_expand_conv", scope / "_bn0",
                           FoldedConv::Shape{shape.in, wide, 1, 1, 1}, eps, true);
    }
    layers_.emplace_back(scope / "_depthwise_conv", scope / "_bn1",
                         FoldedConv::Shape{wide, wide, shape.kernel, shape.stride, wide}, eps,
                         true);
    layers_.emplace_back(scope / "_project_conv", scope / "_bn2",
                         FoldedConv::Shape{wide, shape.out, 1, 1, 1}, eps, false);
  }

  at::Tensor operator()(const at::Tensor& input) const {
    at::Tensor x = input;
    for (const FoldedConv& layer : layers_) x = layer(x);
    return adds_input_ ? x.add_(input) : x;
  }

 private:
  bool adds_input_;
  std::vector<FoldedConv> layers_;
};

int64_t positive(const Json& value, const char* name) {
  const int64_t number = value.as_int();
  check(number >= 1 && number <= 1 << 16, ErrorCode::kInvalidArgument,
        std::string(name) + ": expected 1 to 65536, got " + std::to_string(number));
  return number;
}

/// EfficientNet-Lite: no squeeze-and-excitation, ReLU6, stem and head of fixed width. The features
/// are the map before pooling; the classifier is linear, so it names single places as well as the
/// mean.
/// Reference: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks,
/// ICML 2019; tensorflow/tpu, models/official/efficientnet/lite.
class EfficientNetLite : public ImageEncoder {
 public:
  EfficientNetLite(const Json& config, const WeightScope& scope)
      : width_(positive(config.at("head_channels"), "head_channels")),
        head_(scope / "_fc", width_, positive(config.at("num_classes"), "num_classes")) {
    const double eps = config.get("batch_norm_eps", 1e-3);
    int64_t channels = positive(config.at("stem_channels"), "stem_channels");
    before_.emplace_back(scope / "_conv_stem", scope / "_bn0",
                         FoldedConv::Shape{3, channels, 3, 2, 1}, eps, true);
    for (const Json& stage : config.at("stages").as_array()) {
      const Json::Array& numbers = stage.as_array();
      check(numbers.size() == 5, ErrorCode::kInvalidArgument,
            "stages: expected (repeats, kernel, stride, expansion, channels), got " + stage.dump());
      const int64_t repeats = positive(numbers[0], "stages.repeats");
      InvertedBottleneck::Shape shape{
          channels, positive(numbers[4], "stages.channels"), positive(numbers[1], "stages.kernel"),
          positive(numbers[2], "stages.stride"), positive(numbers[3], "stages.expansion")};
      for (int64_t i = 0; i < repeats; ++i) {
        blocks_.emplace_back(scope / "_blocks" / static_cast<int64_t>(blocks_.size()), shape, eps);
        shape.in = shape.out;
        shape.stride = 1;
      }
      channels = shape.out;
    }
    after_.emplace_back(scope / "_conv_head", scope / "_bn1",
                        FoldedConv::Shape{channels, width_, 1, 1, 1}, eps, true);
  }

  PictureFeatures encode(const at::Tensor& pixels) const override {
    check_shape(pixels, "pixels", {-1, 3, -1, -1});
    check(pixels.numel() > 0, ErrorCode::kInvalidArgument, "pixels: expected pictures, got none");
    std::vector<at::Tensor> maps;
    // One by one: the activations of one picture fit the cache, those of a batch do not.
    for (const at::Tensor& picture : pixels.split(1)) maps.push_back(map_of(picture));
    const at::Tensor all = at::cat(maps);  // [P, D, rows, columns]
    return {all.permute({0, 2, 3, 1}).reshape({all.size(0), -1, width_}),
            {static_cast<int32_t>(all.size(2)), static_cast<int32_t>(all.size(3))}};
  }

  int64_t width() const override { return width_; }
  const Linear* class_head() const override { return &head_; }

 private:
  at::Tensor map_of(const at::Tensor& picture) const {
    at::Tensor x = picture.contiguous(at::MemoryFormat::ChannelsLast);
    for (const FoldedConv& layer : before_) x = layer(x);
    for (const InvertedBottleneck& block : blocks_) {
      check_cancelled();
      x = block(x);
    }
    for (const FoldedConv& layer : after_) x = layer(x);
    return x;
  }

  int64_t width_;
  std::vector<FoldedConv> before_, after_;
  std::vector<InvertedBottleneck> blocks_;
  Linear head_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_efficientnet_lite(const Json& config, const WeightScope& scope) {
  return std::make_unique<EfficientNetLite>(config, scope);
}

}  // namespace lv::vision
