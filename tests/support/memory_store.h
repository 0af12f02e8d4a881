#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv {

using NamedTensors = std::map<std::string, at::Tensor, std::less<>>;

/// Named tensors in memory.
class MemoryStore : public TensorStore {
 public:
  explicit MemoryStore(NamedTensors tensors) : tensors_(std::move(tensors)) {}
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : tensors_) all.push_back(name);
    return all;
  }
  bool contains(std::string_view name) const override { return tensors_.contains(name); }
  StoredTensor get(std::string_view name) const override { return tensors_.find(name)->second; }
  std::vector<int64_t> shape(std::string_view name) const override {
    return tensors_.find(name)->second.sizes().vec();
  }

 private:
  NamedTensors tensors_;
};

inline Checkpoint checkpoint_of(const std::string& config, NamedTensors tensors) {
  return Checkpoint("tiny", parse_json(config, "config"),
                    std::make_shared<const MemoryStore>(std::move(tensors)));
}

}  // namespace lv
