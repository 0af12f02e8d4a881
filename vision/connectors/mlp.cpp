#include <ATen/ATen.h>

#include "pipeline/nn/linear.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/activation.h"

namespace lv::vision {
namespace {

/// Two layers with an activation between them, at every place by itself.
/// Reference: Liu et al., Improved Baselines with Visual Instruction Tuning, CVPR 2024,
/// section 3.2.
class MlpConnector : public Connector {
 public:
  MlpConnector(const Json& config, const WeightScope& scope, int64_t encoder_width)
      : width_((scope / "linear_1").shape("weight").at(0)),
        first_(scope / "linear_1", encoder_width, width_),
        second_(scope / "linear_2", width_, width_),
        activation_(
            activation_named(config.get("projector_hidden_act", "gelu"), "projector_hidden_act")) {}

  PictureFeatures connect(const PictureFeatures& pictures) const override {
    PictureFeatures connected = pictures;
    connected.features = second_(activation_(first_(pictures.features)));
    return connected;
  }
  bool needs_grid() const override { return false; }

 private:
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
