#include "vision/encoders/image_encoder.h"

namespace lv::vision {

const Registry<ImageEncoder, const Json&, const WeightScope&>& encoders() {
  static const Registry<ImageEncoder, const Json&, const WeightScope&> all{
      "image encoder",
      {
          {"CLIPVisionModel", make_clip_vision},
          {"EfficientNetLite", make_efficientnet_lite},
          {"Idefics3VisionTransformer", make_idefics3_vision},
          {"NanoVision", make_nano_vision},
          {"Qwen2_5_VLVisionModel", make_qwen2_5_vl_vision},
          {"Siglip2VisionModel", make_siglip2_vision},
          {"SiglipVisionModel", make_siglip_vision},
      }};
  return all;
}

ImageEncoderPtr make_image_encoder(const Checkpoint& checkpoint) {
  ImageEncoderPtr encoder =
      encoders().make(checkpoint.architecture(), checkpoint.config(), checkpoint.root());
  // What the towers hold beyond the features: poolers, and constants of old files.
  checkpoint.finish({"position_ids", "post_layernorm.weight", "post_layernorm.bias", "head.probe",
                     "head.attention.in_proj_weight", "head.attention.in_proj_bias",
                     "head.attention.out_proj.weight", "head.attention.out_proj.bias",
                     "head.layernorm.weight", "head.layernorm.bias", "head.mlp.fc1.weight",
                     "head.mlp.fc1.bias", "head.mlp.fc2.weight", "head.mlp.fc2.bias"});
  return encoder;
}

}  // namespace lv::vision
