#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// What a converter did to a tensor, which is undone when it is read.
enum class Conversion {
  kNone,
  kPairedRows,    // the rows of each head, [2, D / 2], lie as [D / 2, 2]
  kNoMiddle,      // a convolution [C, 1, K] lies as [C, K]
  kNegativeExp,   // x lies as -exp(x)
  kCutInRows,     // several tensors, whose rows follow one another
  kCutInMoments,  // a convolution over time [C, 3, T, S, S] lies as T of [C, 3, S, S]
};

/// Tensors of other stores under other names, with what their converter did undone.
class ConvertedStore : public TensorStore {
 public:
  struct Entry {
    TensorStorePtr from;
    std::vector<std::string> stored;  // names there; one, unless it lies in several
    Conversion conversion = Conversion::kNone;
    int64_t heads = 0;  // of kPairedRows
  };
  using Index = std::map<std::string, Entry, std::less<>>;

  /// `path` starts error texts. Throws kInvalidArgument that names the tensor where a conversion
  /// cannot be undone for what is stored.
  ConvertedStore(std::string path, Index index);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return index_.contains(name); }
  std::vector<int64_t> shape(std::string_view name) const override;
  ElementType type(std::string_view name) const override;
  StoredTensor get(std::string_view name) const override;

 private:
  const Entry& find(std::string_view name) const;

  std::string path_;
  Index index_;
};

}  // namespace lv
