#pragma once

#include "pipeline/base/json.h"
#include "pipeline/weights/tensor_store.h"

namespace lv {

/// LEOPARD's checkpoints name themselves and their tensors as LLaVA's do, but their connector reads
/// squares of features, and their encoder's normed last output. This is the configuration of such a
/// one: of architecture LeopardLlavaForConditionalGeneration, and with the sizes that its tensors
/// tell where the file leaves them out. What is missing of a whole part is as in SigLIP-SO400M/14
/// and Llama 3.1 8B. Configurations of others come back as they are.
/// Reference: tencent-ailab/Leopard, evaluations/models/llava_multiimg_siglip_anyres.py.
Json with_leopard_keys(Json config, const TensorStore& tensors);

}  // namespace lv
