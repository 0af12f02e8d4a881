#include "pipeline/weights/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_matmul.h"
#include "pipeline/weights/gguf_checkpoint.h"
#include "pipeline/weights/leopard_config.h"
#include "pipeline/weights/named_tower.h"
#include "pipeline/weights/xtuner_folder.h"

namespace lv {
namespace {

constexpr size_t kMaxListed = 8;
constexpr size_t kMaxMissing = 1000;  // a configuration may ask for any number of layers

bool is_gguf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof(magic));
  return file.gcount() == 4 && std::string_view(magic, 4) == "GGUF";
}

bool fits(at::IntArrayRef expected, at::IntArrayRef got) {
  bool good = expected.size() == got.size();
  for (size_t i = 0; good && i < expected.size(); ++i) {
    good = expected[i] < 0 || expected[i] == got[i];
  }
  return good;
}

/// A tensor of zeros that takes no memory, whatever its sizes.
at::Tensor stand_in(at::IntArrayRef shape, at::ScalarType dtype) {
  std::vector<int64_t> sizes = shape.vec();
  for (int64_t& size : sizes) size = std::max<int64_t>(size, 0);
  return at::zeros({}, dtype).expand(sizes);
}

/// A float16 or bfloat16 matrix as it lies, for the kernels that multiply blocks. Nothing if its
/// rows are no whole number of blocks.
std::optional<QuantizedMatrix> as_blocks(const at::Tensor& x) {
  const auto format = x.scalar_type() == at::kHalf ? BlockFormat::kF16 : BlockFormat::kBF16;
  if (x.size(1) % layout_of(format).weights != 0 || !x.is_contiguous()) return std::nullopt;
  return QuantizedMatrix{format, x.size(0), x.size(1), x.view(at::kByte)};
}

bool is_narrow(at::ScalarType type) { return type == at::kHalf || type == at::kBFloat16; }

const Renaming* renaming_for(const std::vector<Renaming>& renamings, std::string_view name) {
  const auto fits = [&](const Renaming& each) { return name.starts_with(each.from); };
  const auto found = std::ranges::find_if(renamings, fits);
  return found == renamings.end() ? nullptr : &*found;
}

/// "; what: a, b and 3 more", or nothing for none.
std::string listed_text(const std::string& what, const std::vector<std::string>& left) {
  if (left.empty()) return {};
  std::string listed;
  for (size_t i = 0; i < std::min(left.size(), kMaxListed); ++i) {
    listed += (i == 0 ? "" : ", ") + left[i];
  }
  if (left.size() > kMaxListed) {
    listed += " and " + std::to_string(left.size() - kMaxListed) + " more";
  }
  return "; " + what + ": " + listed;
}

/// Throws an error that lists what does not fit, unless all does.
void check_fits(const std::string& name, const Misfit& misfit) {
  if (misfit.empty()) return;
  const std::string text = listed_text("tensors that are missing", misfit.missing) +
                           listed_text("tensors of another shape", misfit.other_shapes) +
                           listed_text("tensors that the model does not know", misfit.unknown);
  throw Error(ErrorCode::kInvalidArgument, name + ": " + text.substr(2));
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
  ElementType type(std::string_view name) const override { return all_->type(original(name)); }

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
  State(std::string given_name, TensorStorePtr given, bool is_outline = false)
      : name(std::move(given_name)), tensors(std::move(given)), outline(is_outline) {}

  std::string name;
  TensorStorePtr tensors;
  bool outline;
  std::set<std::string, std::less<>> read;
  std::vector<std::string> missing, other_shapes;  // of an outline
  std::vector<std::string> ignored;                // by finish()
  bool finished = false;

  /// The tensor, or a stand-in of `dtype` in an outline.
  StoredTensor get(const std::string& tensor, at::IntArrayRef expected, at::ScalarType dtype) {
    if (!tensors->contains(tensor)) {
      check(outline, ErrorCode::kNotFound,
            name + ": expected a tensor " + tensor + " " + shape_text(expected) + ", got none");
      missing.push_back(tensor + " " + shape_text(expected));
      if (missing.size() >= kMaxMissing) check_fits(name, {missing, other_shapes, {}});
      return stand_in(expected, dtype);
    }
    const std::vector<int64_t> shape = tensors->shape(tensor);
    if (!fits(expected, shape)) {
      const std::string text =
          tensor + ": expected " + shape_text(expected) + ", got " + shape_text(shape);
      check(outline, ErrorCode::kInvalidArgument, name + ": " + text);
      other_shapes.push_back(text);
      read.insert(tensor);
      return stand_in(expected, dtype);
    }
    read.insert(tensor);
    if (outline) return stand_in(shape, dtype);
    return tensors->get(tensor);
  }
};

Checkpoint::Checkpoint(std::string name, Json config, TensorStorePtr tensors, Json metadata)
    : name_(std::move(name)),
      config_(std::move(config)),
      metadata_(std::move(metadata)),
      state_(std::make_shared<State>(name_, std::move(tensors))) {}

std::string Checkpoint::architecture() const {
  const Json* all = config_.find("architectures");
  check(all != nullptr && all->is_array() && !all->as_array().empty() &&
            all->as_array().front().is_string(),
        ErrorCode::kInvalidArgument, name_ + ": expected architectures in the configuration");
  return all->as_array().front().as_string();
}

WeightScope Checkpoint::root() const { return WeightScope(state_, "", computing_); }

WeightScope Checkpoint::root(at::ScalarType dtype, at::Device device) const {
  return WeightScope(state_, "", {device, dtype, false});
}

Checkpoint Checkpoint::placed(const Placement& placement) const {
  Checkpoint copy = *this;
  copy.computing_ = computing_for(placement, *state_->tensors);
  return copy;
}

Checkpoint Checkpoint::outline() const {
  Checkpoint copy = *this;
  copy.computing_.device = at::kCPU;
  copy.state_ = std::make_shared<State>(name_, state_->tensors, true);
  return copy;
}

const TensorStore& Checkpoint::tensors() const { return *state_->tensors; }

Checkpoint Checkpoint::part(Json config, const std::vector<Renaming>& renamings) const {
  Checkpoint part(name_, std::move(config),
                  std::make_shared<const RenamedStore>(state_->tensors, renamings), metadata_);
  part.path_ = path_;
  part.computing_ = computing_;
  part.state_->outline = state_->outline;
  return part;
}

void Checkpoint::check_covered(const std::vector<Renaming>& renamings) const {
  Misfit misfit;
  misfit.unknown = state_->tensors->names();
  std::erase_if(misfit.unknown,
                [&](const std::string& each) { return renaming_for(renamings, each); });
  check_fits(name_, misfit);
}

void Checkpoint::finish(std::initializer_list<std::string_view> ignored) const {
  state_->ignored.assign(ignored.begin(), ignored.end());
  state_->finished = true;
  check_fits(name_, misfit());
}

Misfit Checkpoint::misfit() const {
  Misfit misfit{state_->missing, state_->other_shapes, {}};
  if (!state_->finished) return misfit;
  misfit.unknown = state_->tensors->names();
  std::erase_if(misfit.unknown, [&](const std::string& tensor) {
    const auto ends = [&](const std::string& end) { return tensor.ends_with(end); };
    return state_->read.contains(tensor) || std::ranges::any_of(state_->ignored, ends);
  });
  return misfit;
}

namespace {

/// A folder with config.json, and what lies in folders inside and beside it.
Checkpoint folder_checkpoint(const std::string& path) {
  if (is_xtuner_folder(path)) return xtuner_checkpoint(path);
  FolderContents contents = with_named_tower(
      path, {read_json_file(path + "/config.json"), open_safetensors_folder(path)});
  Json config = with_leopard_keys(std::move(contents.config), *contents.tensors);
  return {path, std::move(config), std::move(contents.tensors)};
}

}  // namespace

Checkpoint open_checkpoint(const std::string& path, const Placement& placement,
                           const std::string& projector) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  check(fs::exists(status), ErrorCode::kNotFound, path + ": no such file or folder");
  const bool folder = fs::is_directory(status),
             configured = fs::exists(path + "/config.json", ignored);
  if (folder && configured) {
    check(projector.empty(), ErrorCode::kInvalidArgument,
          path + ": expected a GGUF file for the projector " + projector + ", got a folder");
    Checkpoint checkpoint = folder_checkpoint(path);
    checkpoint.path_ = path;
    return checkpoint.placed(placement);
  }
  const std::string file = folder ? gguf_in_folder(path) : path;
  check(!file.empty(), ErrorCode::kInvalidArgument,
        path + ": expected config.json in the folder of a model, got none");
  check(is_gguf(file), ErrorCode::kInvalidArgument,
        file + ": expected a GGUF file or a folder with config.json, got neither");
  Checkpoint checkpoint = gguf_checkpoint(file, projector);
  checkpoint.path_ = file;
  return checkpoint.placed(placement);
}

std::string WeightScope::full(std::string_view name) const {
  if (path_.empty()) return std::string(name);
  return path_ + "." + std::string(name);
}

WeightScope WeightScope::operator/(std::string_view child) const {
  return WeightScope(state_, full(child), computing_);
}

WeightScope WeightScope::operator/(int64_t index) const { return *this / std::to_string(index); }

WeightScope WeightScope::as(at::ScalarType dtype) const {
  return WeightScope(state_, path_, {computing_.device, dtype, false});
}

bool WeightScope::has(std::string_view name) const { return state_->tensors->contains(full(name)); }

bool WeightScope::has_child(std::string_view child) const {
  const std::string prefix = full(child) + ".";
  return std::ranges::any_of(state_->tensors->names(),
                             [&](const std::string& name) { return name.starts_with(prefix); });
}

at::Tensor WeightScope::get(std::string_view name, std::initializer_list<int64_t> shape) const {
  const StoredTensor stored =
      state_->get(full(name), at::IntArrayRef(shape.begin(), shape.size()), dtype());
  const auto* matrix = std::get_if<QuantizedMatrix>(&stored);
  const at::Tensor dense = matrix ? dequantize(*matrix) : std::get<at::Tensor>(stored);
  return dense.to(device(), dtype());
}

WeightMatrix WeightScope::matrix(std::string_view name, int64_t out, int64_t in) const {
  StoredTensor stored = state_->get(full(name), {out, in}, dtype());
  const auto* matrix = std::get_if<QuantizedMatrix>(&stored);
  // The kernels that multiply blocks are the CPU's.
  if (!device().is_cpu()) {
    return (matrix ? dequantize(*matrix) : std::get<at::Tensor>(stored)).to(device(), dtype());
  }
  if (matrix) return stored;
  at::Tensor dense = std::get<at::Tensor>(stored);
  if (computing_.as_stored && is_narrow(dense.scalar_type())) {
    if (auto blocks = as_blocks(dense)) return *blocks;
  }
  dense = dense.to(dtype());
  if (is_narrow(dtype()) && !has_fast_bfloat16()) {
    if (auto blocks = as_blocks(dense)) return *blocks;
  }
  return dense;
}

std::vector<int64_t> WeightScope::shape(std::string_view name) const {
  return state_->tensors->shape(full(name));
}

}  // namespace lv
