#pragma once

#include <ATen/core/Tensor.h>

#include <catch2/catch.hpp>
#include <string>

namespace lv {

/// Matches a tensor of the same shape with |got - expected| <= atol + rtol * |expected| everywhere.
/// A mismatch prints the shapes, the first index that differs and the largest error.
class CloseTo : public Catch::MatcherBase<at::Tensor> {
 public:
  explicit CloseTo(at::Tensor expected, double rtol = 1e-5, double atol = 1e-6)
      : expected_(std::move(expected)), rtol_(rtol), atol_(atol) {}
  bool match(const at::Tensor& got) const override;
  std::string describe() const override;

 private:
  at::Tensor expected_;
  double rtol_, atol_;
  mutable std::string difference_;
};

/// The numbers of Longview's golden tests: state = (1664525 * state + 1013904223) mod 2^32, value =
/// state / 2^31 - 1. float32, filled in row-major order.
at::Tensor lcg_tensor(uint32_t seed, at::IntArrayRef shape);

/// A folder of the checkout: data("tests/data/x.safetensors").
std::string data(const std::string& path);

/// A folder that is removed when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Writes bytes to a file.
void write_file(const std::string& path, const std::string& bytes);
/// All bytes of a file.
std::string read_file(const std::string& path);

}  // namespace lv
