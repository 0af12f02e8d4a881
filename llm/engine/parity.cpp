#include "llm/engine/parity.h"

#include <ATen/ATen.h>

#include <vector>

#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/weights/model_parts.h"

namespace lv::llm {

std::unique_ptr<CausalLm> load_reference_model(const std::string& path,
                                               const Placement& placement) {
  const Checkpoint checkpoint = text_part(open_checkpoint(path, placement));
  const Json& config = checkpoint.config();
  LayerPlan plan;
  const Json* own = config.find("rope_parameters");
  if (own == nullptr || !own->is_object()) own = config.find("rope_scaling");
  if (config.find("num_attention_heads") != nullptr) {  // without heads nothing is rotated
    plan.rope = own != nullptr && own->is_object() ? *own : Json(Json::Object{});
    plan.rope->set("rounded_to", config.get("dtype", config.get("torch_dtype", "float32").c_str()));
  }
  return make_model(checkpoint, plan);
}

at::Tensor sequence_logits(const CausalLm& model, const at::Tensor& rows) {
  const ModelShape shape = model.shape();
  const auto kv = make_dense_kv_store(shape.kv());
  StateStore states;
  const int64_t length = rows.size(0);
  return model.logits(model.forward(pack({{kv->create(length), rows, 0, length}}), {*kv, states}));
}

CausalOutputs causal_outputs(const CausalLm& model, const at::Tensor& input_ids,
                             int64_t greedy_count) {
  check_shape(input_ids, "input_ids", {-1, -1});
  check_dtype(input_ids, "input_ids", at::kLong);
  const ModelShape shape = model.shape();
  const auto kv = make_dense_kv_store(shape.kv());
  StateStore states;
  const int64_t length = input_ids.size(1);
  std::vector<SequenceStep> steps;
  for (int64_t row = 0; row < input_ids.size(0); ++row) {
    steps.push_back({kv->create(length), model.embed(input_ids[row]), 0, length});
  }
  const at::Tensor hidden = model.forward(pack(steps), {*kv, states});
  CausalOutputs outputs;
  outputs.logits = model.logits(hidden).view({input_ids.size(0), length, shape.vocabulary});

  std::vector<int64_t> ids;
  std::vector<double> margins;
  at::Tensor scores = outputs.logits[0][length - 1];
  for (int64_t position = length; static_cast<int64_t>(ids.size()) < greedy_count; ++position) {
    const at::Tensor two = std::get<0>(scores.topk(2));
    margins.push_back((two[0] - two[1]).item<double>());
    ids.push_back(scores.argmax().item<int64_t>());
    const at::Tensor embedding = model.embed(at::tensor({ids.back()}, at::kLong));
    const PackedBatch next = pack({{steps[0].sequence, embedding, position, position + 1}});
    scores = model.logits(model.forward(next, {*kv, states}))[0];
  }
  outputs.greedy_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  outputs.greedy_margins = at::tensor(margins, at::kDouble).unsqueeze(0);
  return outputs;
}

}  // namespace lv::llm
