#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/stage/stage.h"

namespace lv {

/// A stream of the values of a vector.
template <class T>
SourcePtr<T> source_of(std::vector<T> values) {
  class Values : public Source<T> {
   public:
    explicit Values(std::vector<T> all) : values_(std::move(all)) {}
    std::optional<T> next() override {
      if (at_ == values_.size()) return std::nullopt;
      return std::move(values_[at_++]);
    }

   private:
    std::vector<T> values_;
    size_t at_ = 0;
  };
  return std::make_unique<Values>(std::move(values));
}

/// A stream of one value.
template <class T>
SourcePtr<T> source_of_one(T value) {
  std::vector<T> values;
  values.push_back(std::move(value));
  return source_of(std::move(values));
}

/// All values that are left.
template <class T>
std::vector<T> collect(Source<T>& source) {
  std::vector<T> all;
  while (auto value = source.next()) all.push_back(std::move(*value));
  return all;
}

}  // namespace lv
