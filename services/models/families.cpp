#include "services/models/families.h"

namespace lv::services {

const std::vector<ModelFamily>& model_families() {
  static const std::vector<ModelFamily> all = {
      {"AuroraForConditionalGeneration", "pictures, and the frames of video one by one, merged",
       "wchai/AuroraCap-7B-VID-xtuner", 14.8},
      {"Idefics2ForConditionalGeneration", "pictures, also several: Idefics2, Leopard-Idefics2",
       "HuggingFaceM4/idefics2-8b", 16.8},
      {"Idefics3ForConditionalGeneration", "pictures", "HuggingFaceM4/Idefics3-8B-Llama3", 16.9},
      {"LeopardLlavaForConditionalGeneration", "pictures that share tiles, as of documents",
       "wyu1/Leopard-LLaVA", 16.9},
      {"LlamaForCausalLM", "text: Llama 1 to 3, SmolLM2, TinyLlama",
       "HuggingFaceTB/SmolLM2-135M-Instruct", 0.27},
      {"LlavaForConditionalGeneration", "pictures", "llava-hf/llava-1.5-7b-hf", 14.1},
      {"LlavaLlamaVLoRAForCausalLM", "one picture, worn as weights", "feipengma/VLoRA-7b-v1", 15.8},
      {"LlavaOnevisionForConditionalGeneration", "pictures and video",
       "llava-hf/llava-onevision-qwen2-0.5b-ov-hf", 1.8},
      {"MambaForCausalLM", "text, with states in place of keys", "state-spaces/mamba-130m-hf",
       0.52},
      {"MistralForCausalLM", "text", "mistralai/Mistral-7B-Instruct-v0.1", 14.5},
      {"Qwen2ForCausalLM", "text", "Qwen/Qwen2.5-0.5B-Instruct", 0.99},
      {"Qwen3ForCausalLM", "text", "Qwen/Qwen3-0.6B", 1.5},
      {"Qwen2_5_VLForConditionalGeneration", "pictures and video", "Qwen/Qwen2.5-VL-3B-Instruct",
       7.5},
      {"SmolLM3ForCausalLM", "text", "HuggingFaceTB/SmolLM3-3B", 6.2},
      {"SmolVLMForConditionalGeneration", "pictures and video",
       "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", 0.51},
  };
  return all;
}

}  // namespace lv::services
