#include "vision/connectors/connector.h"

namespace lv::vision {

const Registry<Connector, const Json&, const WeightScope&, int64_t>& connectors() {
  static const Registry<Connector, const Json&, const WeightScope&, int64_t> all{
      "model that sees",
      {
          {"AuroraForConditionalGeneration", make_mlp_connector},
          {"Idefics2ForConditionalGeneration", make_perceiver},
          {"Idefics3ForConditionalGeneration", make_pixel_shuffle},
          {"LeopardLlavaForConditionalGeneration", make_mlp_connector},
          {"LlavaCombinerForConditionalGeneration", make_mlp_connector},
          {"LlavaForConditionalGeneration", make_mlp_connector},
          {"LlavaLlamaVLoRAForCausalLM", make_as_is},
          {"LlavaOnevisionForConditionalGeneration", make_mlp_connector},
          {"NanoForConditionalGeneration", make_nano_connector},
          {"Qwen2_5_VLForConditionalGeneration", make_as_is},
          {"SmolVLMForConditionalGeneration", make_pixel_shuffle},
      }};
  return all;
}

const Registry<Arranger, const Json&, const WeightScope&>& arrangers() {
  static const Registry<Arranger, const Json&, const WeightScope&> all{
      "arranger",
      {
          {"LeopardLlavaForConditionalGeneration", make_leopard_arranger},
          {"LlavaOnevisionForConditionalGeneration", make_onevision_arranger},
      }};
  return all;
}

ConnectorParts make_connector_parts(const Checkpoint& checkpoint, int64_t encoder_width) {
  const std::string architecture = checkpoint.architecture();
  const Json& config = checkpoint.config();
  const WeightScope scope = checkpoint.root();
  ConnectorParts parts;
  parts.connector = connectors().make(architecture, config, scope, encoder_width);
  parts.arranger = arrangers().contains(architecture)
                       ? arrangers().make(architecture, config, scope)
                       : make_apart();
  checkpoint.finish();
  return parts;
}

}  // namespace lv::vision
