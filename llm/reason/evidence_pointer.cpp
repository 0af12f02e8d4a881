#include "llm/reason/evidence_pointer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "pipeline/base/check_shape.h"

namespace lv::llm {
namespace {

WeightScope in_float(const Checkpoint& part) { return part.root().as(at::kFloat); }

}  // namespace

EvidencePointer::EvidencePointer(const Checkpoint& part)
    : EvidencePointer(in_float(part), in_float(part).shape("start").at(0)) {
  part.finish();
}

EvidencePointer::EvidencePointer(const WeightScope& scope, int64_t width)
    : key_(scope / "key", scope.shape("key.weight").at(1), width),
      query_(scope / "query", scope.shape("key.weight").at(1), width),
      mix_(scope / "mix", width, width),
      vector_(scope / "vector", width, 1),
      input_weight_(scope.get("step.weight_ih", {3 * width, width})),
      state_weight_(scope.get("step.weight_hh", {3 * width, width})),
      input_bias_(scope.get("step.bias_ih", {3 * width})),
      state_bias_(scope.get("step.bias_hh", {3 * width})),
      start_(scope.get("start", {width})),
      end_(scope.get("end", {width})) {}

Pointed EvidencePointer::point(const at::Tensor& groups, const at::Tensor& answer,
                               int64_t most) const {
  check_shape(groups, "groups", {-1, -1});
  check_shape(answer, "answer", {groups.size(1)});
  const auto given = [&](const at::Tensor& x) { return x.to(start_.options()); };
  at::Tensor keys = at::cat({end_.unsqueeze(0), key_(given(groups))});  // [1 + G, width]
  at::Tensor state = at::tanh(query_(given(answer))).unsqueeze(0);      // [1, width]
  at::Tensor before = start_.unsqueeze(0);
  at::Tensor taken = at::zeros({keys.size(0)}, keys.options().dtype(at::kBool));
  taken[0].fill_(true);  // something has to be pointed at first
  Pointed pointed;
  pointed.confidence = 1;
  most = std::min(most, groups.size(0));
  while (static_cast<int64_t>(pointed.rows.size()) < most) {
    state = at::gru_cell(before, state, input_weight_, state_weight_, input_bias_, state_bias_);
    const at::Tensor scores = vector_(at::tanh(keys + mix_(state))).squeeze(1);
    const at::Tensor shares =
        at::softmax(scores.masked_fill(taken, -std::numeric_limits<double>::infinity()), 0);
    const int64_t target = shares.argmax().item<int64_t>();
    pointed.confidence *= shares[target].item<double>();
    if (target == 0) break;
    pointed.rows.push_back(target - 1);
    taken[target].fill_(true);
    taken[0].fill_(false);
    before = keys[target].unsqueeze(0);
  }
  return pointed;
}

}  // namespace lv::llm
