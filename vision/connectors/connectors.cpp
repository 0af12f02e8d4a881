#include "vision/connectors/connector.h"

namespace lv::vision {

const Registry<Connector, const Json&, const WeightScope&, int64_t>& connectors() {
  static const Registry<Connector, const Json&, const WeightScope&, int64_t> all{
      "model that sees",
      {
          {"Idefics3ForConditionalGeneration", make_pixel_shuffle},
          {"LlavaForConditionalGeneration", make_mlp_connector},
          {"SmolVLMForConditionalGeneration", make_pixel_shuffle},
      }};
  return all;
}

ConnectorPtr make_connector(const Checkpoint& checkpoint, int64_t encoder_width) {
  ConnectorPtr connector = connectors().make(checkpoint.architecture(), checkpoint.config(),
                                             checkpoint.root(), encoder_width);
  checkpoint.finish();
  return connector;
}

}  // namespace lv::vision
