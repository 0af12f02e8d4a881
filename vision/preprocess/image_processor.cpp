#include "vision/preprocess/image_processor.h"

namespace lv::vision {

const Registry<ImageProcessor, const Json&>& image_processors() {
  static const Registry<ImageProcessor, const Json&> all{
      "image processor",
      {
          {"CLIPImageProcessor", make_clip_processor},
          {"CLIPImageProcessorFast", make_clip_processor},
          {"EfficientNetLiteImageProcessor", make_efficientnet_lite_processor},
          {"Idefics3ImageProcessor", make_smolvlm_processor},
          {"SiglipImageProcessor", make_siglip_processor},
          {"SiglipImageProcessorFast", make_siglip_processor},
          {"SmolVLMImageProcessor", make_smolvlm_processor},
          {"SmolVLMImageProcessorFast", make_smolvlm_processor},
      }};
  return all;
}

ImageProcessorPtr make_image_processor(const Json& config) {
  return image_processors().make(config.at("image_processor_type").as_string(), config);
}

}  // namespace lv::vision
