#include "llm/engine/parity.h"

#include <ATen/ATen.h>

#include <vector>

#include "llm/models/models.h"
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

CausalOutputs causal_outputs(const CausalLm& model, const at::Tensor& input_ids,
                             int64_t greedy_count) {
  check_shape(input_ids, "input_ids", {-1, -1});
  check_dtype(input_ids, "input_ids", at::kLong);
  std::vector<at::Tensor> rows;
  for (const at::Tensor& ids : input_ids.unbind()) rows.push_back(model.embed(ids));
  return causal_outputs_after(model, at::stack(rows), greedy_count);
}

CausalOutputs causal_outputs_after(const CausalLm& model, const at::Tensor& rows,
                                   int64_t greedy_count, const RowsRead& read) {
  const ModelShape shape = model.shape();
  check_shape(rows, "rows", {-1, -1, shape.width});
  KvStore kv(shape.kv());
  StateStore states;
  const int64_t length = rows.size(1);
  std::vector<SequenceStep> steps;
  for (const at::Tensor& sequence : rows.unbind()) {
    steps.push_back({kv.create(), sequence, 0, length, read.positions, read.worn});
  }
  const at::Tensor hidden = model.forward(pack(steps), {kv, states});
  CausalOutputs outputs;
  outputs.logits = model.logits(hidden).view({rows.size(0), length, shape.vocabulary});

  std::vector<int64_t> ids;
  std::vector<double> margins;
  at::Tensor scores = outputs.logits[0][length - 1];
  const int64_t first = position_behind(length, read);
  while (static_cast<int64_t>(ids.size()) < greedy_count) {
    const auto said = static_cast<int64_t>(ids.size());
    const at::Tensor two = std::get<0>(scores.topk(2));
    margins.push_back((two[0] - two[1]).item<double>());
    ids.push_back(scores.argmax().item<int64_t>());
    const at::Tensor embedding = model.embed(at::tensor({ids.back()}, at::kLong));
    const PackedBatch next =
        pack({{steps[0].sequence, embedding, first + said, length + said + 1, {}, read.worn}});
    scores = model.logits(model.forward(next, {kv, states}))[0];
  }
  outputs.greedy_ids = at::tensor(ids, at::kLong).unsqueeze(0);
  outputs.greedy_margins = at::tensor(margins, at::kDouble).unsqueeze(0);
  return outputs;
}

}  // namespace lv::llm
