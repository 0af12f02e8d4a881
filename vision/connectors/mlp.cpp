#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/nn/linear.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/activation.h"

namespace lv::vision {
namespace {

/// Two layers with an activation between them, at every place by itself. A first layer that is
/// wider than the features by s * s reads squares of s x s places, which become one.
/// Reference: Liu et al., Improved Baselines with Visual Instruction Tuning, CVPR 2024,
/// section 3.2; the squares are LEOPARD's, Jia et al., TMLR 2025, section 3.1.
class MlpConnector : public Connector {
 public:
  MlpConnector(const Json& config, const WeightScope& scope, int64_t encoder_width)
      : side_(side_of((scope / "linear_1").shape("weight").at(1), encoder_width)),
        width_((scope / "linear_1").shape("weight").at(0)),
        first_(scope / "linear_1", encoder_width * side_ * side_, width_),
        second_(scope / "linear_2", width_, width_),
        activation_(
            activation_named(config.get("projector_hidden_act", "gelu"), "projector_hidden_act")) {}

  PictureFeatures connect(const PictureFeatures& pictures) const override {
    PictureFeatures connected = side_ == 1 ? pictures : squares_of(pictures, side_);
    connected.features = second_(activation_(first_(connected.features)));
    return connected;
  }
  bool needs_grid() const override { return side_ > 1; }

 private:
  /// 1 also where the widths do not fit, of which the layer tells.
  static int64_t side_of(int64_t read, int64_t encoder_width) {
    const double places = static_cast<double>(read) / static_cast<double>(encoder_width);
    return std::max<int64_t>(1, std::llround(std::sqrt(places)));
  }

  int64_t side_;   // of a square, in places
  int64_t width_;  // of the language model
  Linear first_, second_;
  Activation activation_;
};

}  // namespace

std::unique_ptr<Connector> make_mlp_connector(const Json& config, const WeightScope& scope,
                                              int64_t encoder_width) {
  return std::make_unique<MlpConnector>(config, scope, encoder_width);
}

}  // namespace lv::vision
