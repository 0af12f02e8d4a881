#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/weights/placement.h"
#include "pipeline/weights/tensor_store.h"

namespace lv {

class WeightScope;

/// Tensors whose names begin with `from` appear with `to` in its place.
struct Renaming {
  std::string_view from, to;
};

/// What keeps a checkpoint's tensors from being those of a model: names, and what was expected.
struct Misfit {
  std::vector<std::string> missing;       // "a.weight [2, 3]"
  std::vector<std::string> other_shapes;  // "a.weight: expected [2, 3], got [3, 2]"
  std::vector<std::string> unknown;       // that nobody asked for
  bool empty() const { return missing.empty() && other_shapes.empty() && unknown.empty(); }
};

/// A model as people hold it: configuration and weights. What is read is remembered, so that
/// finish() can say what was left over. Not thread-safe while a model is built from it; the tensors
/// it hands out outlive it.
class Checkpoint {
 public:
  /// `name` starts error texts. `metadata` is what else the file says (GGUF key-values), null if
  /// nothing.
  Checkpoint(std::string name, Json config, TensorStorePtr tensors, Json metadata = {});

  const std::string& name() const { return name_; }
  const Json& config() const { return config_; }
  const Json& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

  /// The entry of `architectures` in the configuration, e.g. "LlamaForCausalLM".
  std::string architecture() const;

  /// Where models start to read. Weights arrive as the placement says that the checkpoint was
  /// opened with.
  WeightScope root() const;
  /// Dense weights arrive as `dtype` on `device`; quantised ones stay as they are.
  WeightScope root(at::ScalarType dtype, at::Device device = at::kCPU) const;

  /// The same checkpoint, whose models compute elsewhere or in another type.
  Checkpoint placed(const Placement& placement) const;
  const Computing& computing() const { return computing_; }

  /// The same names and sizes with zeros for weights, of which none is read: a model built from it
  /// shows whether the checkpoint fits. Tensors that are missing or of another shape are noted
  /// instead of thrown, and finish() lists them all.
  Checkpoint outline() const;

  /// The tensors by their names here.
  const TensorStore& tensors() const;

  /// The tensors that one of `renamings` covers, under their new names, as a checkpoint with a
  /// configuration of its own; the first that fits a name counts. finish() of each looks at its own
  /// tensors.
  Checkpoint part(Json config, const std::vector<Renaming>& renamings) const;

  /// Throws kInvalidArgument that lists the tensors that none of `renamings` covers.
  void check_covered(const std::vector<Renaming>& renamings) const;

  /// Throws kInvalidArgument that lists the tensors nobody asked for, and those that an outline
  /// noted. Names that end in one of `ignored` do not count.
  void finish(std::initializer_list<std::string_view> ignored = {}) const;
  /// What an outline noted so far and, once finish() was called, what nobody had asked for. All of
  /// it, where the errors' texts are cut.
  Misfit misfit() const;

 private:
  friend class WeightScope;
  friend Checkpoint open_checkpoint(const std::string& path, const Placement& placement,
                                    const std::string& projector);
  struct State;

  std::string name_;
  std::string path_;
  Json config_;
  Json metadata_;
  Computing computing_;
  std::shared_ptr<State> state_;
};

/// Opens what `path` is: a folder in Hugging Face layout (config.json and safetensors, one file or
/// sharded) or in xtuner's, or a GGUF file or a folder with one, whose keys and tensors then appear
/// under their Hugging Face names, with what llama.cpp's converter did to them undone.
///
/// `projector` is the GGUF file of the eyes that belong to a GGUF language model ("mmproj"); "none"
/// for none. If it is empty, the one file beside the model that is called so and whose rows have
/// the model's width is taken. Throws kNotFound, or kInvalidArgument that says what the file is
/// not, or that there are several projectors.
Checkpoint open_checkpoint(const std::string& path, const Placement& placement = {},
                           const std::string& projector = {});

/// A dense or quantised matrix [out, in].
using WeightMatrix = StoredTensor;

/// A place in a checkpoint's tree of names: root / "layers" / 3 / "mlp". A small value; copy it.
class WeightScope {
 public:
  WeightScope operator/(std::string_view child) const;
  WeightScope operator/(int64_t index) const;
  /// The same place, from where weights arrive in another type: what must be more exact than the
  /// rest.
  WeightScope as(at::ScalarType dtype) const;

  /// Whether a tensor of this name is there.
  bool has(std::string_view name) const;
  /// Whether any tensor lies below this child.
  bool has_child(std::string_view child) const;

  /// The tensor, dense, converted to the scope's type and device. -1 accepts any size.
  /// Throws kNotFound if it is missing, kInvalidArgument if its shape differs: name, expected, got.
  at::Tensor get(std::string_view name, std::initializer_list<int64_t> shape) const;
  /// The matrix [out, in]. On the CPU it is as it is stored if that is quantised, or if it is of a
  /// type that the CPU has no fast arithmetic for.
  WeightMatrix matrix(std::string_view name, int64_t out, int64_t in) const;

  /// The sizes of a stored tensor, without reading it.
  std::vector<int64_t> shape(std::string_view name) const;

  const std::string& path() const { return path_; }
  at::ScalarType dtype() const { return computing_.dtype; }
  at::Device device() const { return computing_.device; }

 private:
  friend class Checkpoint;
  WeightScope(std::shared_ptr<Checkpoint::State> state, std::string path, Computing computing)
      : state_(std::move(state)), path_(std::move(path)), computing_(computing) {}

  std::string full(std::string_view name) const;

  std::shared_ptr<Checkpoint::State> state_;
  std::string path_;
  Computing computing_;
};

}  // namespace lv
