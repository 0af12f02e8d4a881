#include "pipeline/weights/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_matmul.h"
#include "pipeline/weights/gguf_checkpoint.h"

namespace lv {
namespace {

constexpr size_t kMaxListed = 8;

bool is_gguf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof(magic));
  return file.gcount() == 4 && std::string_view(magic, 4) == "GGUF";
}

void check_sizes(const std::string& name, at::IntArrayRef expected, at::IntArrayRef got) {
  bool good = expected.size() == got.size();
  for (size_t i = 0; good && i < expected.size(); ++i) {
    good = expected[i] < 0 || expected[i] == got[i];
  }
  check(good, ErrorCode::kInvalidArgument,
        name + ": expected " + shape_text(expected) + ", got " + shape_text(got));
}

const Renaming* renaming_for(const std::vector<Renaming>& renamings, std::string_view name) {
  const auto fits = [&](const Renaming& each) { return name.starts_with(each.from); };
  const auto found = std::ranges::find_if(renamings, fits);
  return found == renamings.end() ? nullptr : &*found;
}

/// Throws an error that lists `left`, the names of tensors, unless there are none.
void check_none(const std::string& name, const std::vector<std::string>& left) {
  if (left.empty()) return;
  std::string listed;
  for (size_t i = 0; i < std::min(left.size(), kMaxListed); ++i) {
    listed += (i == 0 ? "" : ", ") + left[i];
  }
  if (left.size() > kMaxListed) {
    listed += " and " + std::to_string(left.size() - kMaxListed) + " more";
  }
  throw Error(ErrorCode::kInvalidArgument,
              name + ": tensors that the model does not know: " + listed);
}

/// Some tensors of another store, under other names.
class RenamedStore : public TensorStore {
 public:
  RenamedStore(TensorStorePtr all, const std::vector<Renaming>& renamings) : all_(std::move(all)) {
    for (std::string& name : all_->names()) {
      const Renaming* rule = renaming_for(renamings, name);
      if (rule == nullptr) continue;
      std::string renamed = std::string(rule->to) + name.substr(rule->from.size());
      const auto [there, added] = originals_.emplace(std::move(renamed), std::move(name));
      check(added, ErrorCode::kInvalidArgument,
            there->first + ": expected one tensor, got it in two layouts");
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, original] : originals_) all.push_back(name);
    return all;
  }
  bool contains(std::string_view name) const override { return originals_.contains(name); }
  StoredTensor get(std::string_view name) const override { return all_->get(original(name)); }
  std::vector<int64_t> shape(std::string_view name) const override {
    return all_->shape(original(name));
  }

 private:
  const std::string& original(std::string_view name) const {
    const auto found = originals_.find(name);
    check(found != originals_.end(), ErrorCode::kNotFound,
          "expected a tensor " + std::string(name) + ", got none");
    return found->second;
  }

  TensorStorePtr all_;
  std::map<std::string, std::string, std::less<>> originals_;
};

}  // namespace

struct Checkpoint::State {
  std::string name;
  TensorStorePtr tensors;
  std::set<std::string, std::less<>> read;

  StoredTensor get(const std::string& tensor, at::IntArrayRef expected) {
    if (!tensors->contains(tensor)) {
      throw Error(ErrorCode::kNotFound, name + ": expected a tensor " + tensor + " " +
                                            shape_text(expected) + ", got none");
    }
    check_sizes(name + ": " + tensor, expected, tensors->shape(tensor));
    read.insert(tensor);
    return tensors->get(tensor);
  }
};

Checkpoint::Checkpoint(std::string name, Json config, TensorStorePtr tensors, Json metadata)
    : name_(std::move(name)),
      config_(std::move(config)),
      metadata_(std::move(metadata)),
      state_(std::make_shared<State>(State{name_, std::move(tensors), {}})) {}

std::string Checkpoint::architecture() const {
  const Json* all = config_.find("architectures");
  check(all != nullptr && all->is_array() && !all->as_array().empty() &&
            all->as_array().front().is_string(),
        ErrorCode::kInvalidArgument, name_ + ": expected architectures in the configuration");
  return all->as_array().front().as_string();
}

WeightScope Checkpoint::root(at::ScalarType dtype, at::Device device) const {
  return WeightScope(state_, "", dtype, device);
}

Checkpoint Checkpoint::part(Json config, const std::vector<Renaming>& renamings) const {
  Checkpoint part(name_, std::move(config),
                  std::make_shared<const RenamedStore>(state_->tensors, renamings), metadata_);
  part.path_ = path_;
  return part;
}

void Checkpoint::check_covered(const std::vector<Renaming>& renamings) const {
  std::vector<std::string> left = state_->tensors->names();
  std::erase_if(left, [&](const std::string& each) { return renaming_for(renamings, each); });
  check_none(name_, left);
}

void Checkpoint::finish(std::initializer_list<std::string_view> ignored) const {
  std::vector<std::string> left = state_->tensors->names();
  std::erase_if(left, [&](const std::string& tensor) {
    const auto ends = [&](std::string_view end) { return tensor.ends_with(end); };
    return state_->read.contains(tensor) || std::ranges::any_of(ignored, ends);
  });
  check_none(name_, left);
}

Checkpoint open_checkpoint(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  check(fs::exists(status), ErrorCode::kNotFound, path + ": no such file or folder");
  if (!fs::is_directory(status)) {
    check(is_gguf(path), ErrorCode::kInvalidArgument,
          path + ": expected a GGUF file or a folder with config.json, got neither");
    Checkpoint checkpoint = gguf_checkpoint(path);
    checkpoint.path_ = path;
    return checkpoint;
  }
  check(fs::exists(path + "/config.json", ignored), ErrorCode::kInvalidArgument,
        path + ": expected config.json in the folder of a model, got none");
  Json config = read_json_file(path + "/config.json");
  Checkpoint checkpoint(path, std::move(config), open_safetensors_folder(path));
  checkpoint.path_ = path;
  return checkpoint;
}

std::string WeightScope::full(std::string_view name) const {
  if (path_.empty()) return std::string(name);
  return path_ + "." + std::string(name);
}

WeightScope WeightScope::operator/(std::string_view child) const {
  return WeightScope(state_, full(child), dtype_, device_);
}

WeightScope WeightScope::operator/(int64_t index) const { return *this / std::to_string(index); }

bool WeightScope::has(std::string_view name) const { return state_->tensors->contains(full(name)); }

bool WeightScope::has_child(std::string_view child) const {
  const std::string prefix = full(child) + ".";
  return std::ranges::any_of(state_->tensors->names(),
                             [&](const std::string& name) { return name.starts_with(prefix); });
}

at::Tensor WeightScope::get(std::string_view name, std::initializer_list<int64_t> shape) const {
  const StoredTensor stored = state_->get(full(name), at::IntArrayRef(shape.begin(), shape.size()));
  const auto* matrix = std::get_if<QuantizedMatrix>(&stored);
  const at::Tensor dense = matrix ? dequantize(*matrix) : std::get<at::Tensor>(stored);
  return dense.to(device_, dtype_);
}

WeightMatrix WeightScope::matrix(std::string_view name, int64_t out, int64_t in) const {
  StoredTensor stored = state_->get(full(name), {out, in});
  if (const auto* dense = std::get_if<at::Tensor>(&stored)) return dense->to(device_, dtype_);
  // The quantised kernels are the CPU's.
  if (device_.is_cpu()) return stored;
  return dequantize(std::get<QuantizedMatrix>(stored)).to(device_, dtype_);
}

std::vector<int64_t> WeightScope::shape(std::string_view name) const {
  return state_->tensors->shape(full(name));
}

}  // namespace lv
