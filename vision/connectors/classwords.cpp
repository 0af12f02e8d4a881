#include "vision/connectors/classwords.h"

#include <ATen/ATen.h>

#include <fstream>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::vision {

ClassWords::ClassWords(Linear head, at::Tensor words, double temperature)
    : head_(std::move(head)), words_(std::move(words)), temperature_(temperature) {
  check_shape(words_, "classwords.words", {shape_of(head_.weight())[0], -1});
  check(temperature > 0, ErrorCode::kInvalidArgument,
        "classwords.temperature: expected more than 0, got " + std::to_string(temperature));
}

PictureFeatures ClassWords::connect(const PictureFeatures& pictures) const {
  const at::Tensor shares = at::softmax(head_(pictures.features).to(at::kFloat) / temperature_, -1);
  const at::Tensor mixed = at::matmul(shares, words_.to(at::kFloat)).to(words_.scalar_type());
  PictureFeatures connected = pictures;
  connected.features = mixed;
  return connected;
}

std::vector<std::string> read_class_names(const std::string& path) {
  std::ifstream file(path);
  check(file.is_open(), ErrorCode::kNotFound, path + ": cannot be opened");
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    check(!line.empty(), ErrorCode::kInvalidArgument,
          path + ": expected a name in line " + std::to_string(names.size() + 1) + ", got none");
    names.push_back(line);
  }
  return names;
}

}  // namespace lv::vision
