#include "tests/support/close_to.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv {

bool CloseTo::match(const at::Tensor& got) const {
  difference_.clear();
  if (!got.defined() || got.sizes() != expected_.sizes()) {
    difference_ =
        "got shape " + (got.defined() ? shape_text(got.sizes()) : std::string("of no tensor"));
    return false;
  }
  const at::Tensor a = got.to(at::kCPU, at::kDouble).flatten();
  const at::Tensor b = expected_.to(at::kCPU, at::kDouble).flatten();
  const at::Tensor error = (a - b).abs();
  const at::Tensor bad = ~(error <= atol_ + rtol_ * b.abs());  // NaN counts as bad
  if (!bad.any().item<bool>()) return true;
  const int64_t first = bad.to(at::kInt).argmax().item<int64_t>();
  std::ostringstream text;
  text << "first differs at flat index " << first << ": got " << a[first].item<double>()
       << ", expected " << b[first].item<double>() << "; largest error "
       << error.max().item<double>() << "; " << bad.sum().item<int64_t>() << " of " << a.numel()
       << " differ";
  difference_ = text.str();
  return false;
}

std::string CloseTo::describe() const {
  return "is close to a tensor " + shape_text(expected_.sizes()) + " (rtol " +
         std::to_string(rtol_) + ", atol " + std::to_string(atol_) + "): " + difference_;
}

at::Tensor lcg_tensor(uint32_t seed, at::IntArrayRef shape) {
  at::Tensor x = at::empty(shape, at::kFloat);
  float* out = x.data_ptr<float>();
  uint32_t state = seed;
  for (int64_t i = 0; i < x.numel(); ++i) {
    state = 1664525u * state + 1013904223u;
    out[i] = static_cast<float>(static_cast<double>(state) / 2147483648.0 - 1.0);
  }
  return x;
}

std::string data(const std::string& path) { return std::string(LV_SOURCE_DIR) + "/" + path; }

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "longview-test-XXXXXX").string();
  check(mkdtemp(name.data()) != nullptr, ErrorCode::kInternal, "mkdtemp failed");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace lv
