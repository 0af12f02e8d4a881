#include "vision/preprocess/image_processor.h"

namespace lv::vision {

const Registry<ImageProcessor, const Json&>& image_processors() {
  static const Registry<ImageProcessor, const Json&> all{
      "image processor",
      {
          {"CLIPImageProcessor", make_clip_processor},
          {"CLIPImageProcessorFast", make_clip_processor},
          {"EfficientNetLiteImageProcessor", make_efficientnet_lite_processor},
          {"Idefics2ImageProcessor", make_idefics2_processor},
          {"Idefics2ImageProcessorFast", make_idefics2_processor},
          {"Idefics3ImageProcessor", make_smolvlm_processor},
          {"LeopardImageProcessor", make_leopard_processor},
          {"LlavaImageProcessor", make_llava_processor},
          {"LlavaImageProcessorFast", make_llava_processor},
          {"LlavaOnevisionImageProcessor", make_anyres_processor},
          {"LlavaOnevisionImageProcessorFast", make_anyres_processor},
          {"NanoImageProcessor", make_nano_processor},
          {"Qwen2VLImageProcessor", make_qwen2_vl_processor},
          {"Qwen2VLImageProcessorFast", make_qwen2_vl_processor},
          {"Siglip2ImageProcessor", make_siglip2_processor},
          {"Siglip2ImageProcessorFast", make_siglip2_processor},
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

namespace {

/// A frame of Qwen's is fewer tokens than a picture, and those of a film share what a film may be.
/// Reference: the sizes of transformers' Qwen2VLVideoProcessor, with the share of qwen-vl-utils
/// that it takes over in version 5.22 (cap_pixels_per_frame).
void set_qwen_film_size(Json& config) {
  const int64_t side = config.get("patch_size", 14) * config.get("merge_size", 2);
  config.set("min_pixels", 128 * side * side);
  config.set("max_pixels", 768 * side * side);
  if (config.get("cap_pixels_per_frame", true)) {
    config.set("max_video_tokens", config.get("max_video_tokens", 128000));
  } else {
    config.set("max_video_tokens", nullptr);
  }
}

}  // namespace

ImageProcessorPtr make_page_processor(Json config) {
  if (const Json* size = config.find("page_size")) config.set("image_size", Json(*size));
  return make_image_processor(config);
}

ImageProcessorPtr make_film_processor(Json config) {
  config.set("do_image_splitting", false);
  const Json* sampling = config.find("video_sampling");
  const Json* size = sampling != nullptr ? sampling->find("video_size") : nullptr;
  if (size == nullptr) size = config.find("max_image_size");
  if (size != nullptr) config.set("size", Json(*size));
  if (config.get("image_processor_type", "").starts_with("Qwen2VL")) set_qwen_film_size(config);
  return make_image_processor(config);
}

}  // namespace lv::vision
