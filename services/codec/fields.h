#pragma once

#include <ATen/core/Tensor.h>
#include <google/protobuf/repeated_ptr_field.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "services/codec/utf8.h"
#include "services/tensor_channel/tensor_channel.h"

namespace lv::services {

/// `part`, which lies inside `whole`, owned together with it.
template <class Part, class Whole>
std::shared_ptr<const Part> part_of(const std::shared_ptr<const Whole>& whole, const Part& part) {
  return std::shared_ptr<const Part>(whole, &part);
}

/// Writes a tensor that may be undefined: then `message` is left without it.
template <class Message>
void put(const at::Tensor& x, Message* message, v1::Tensor* (Message::*field)()) {
  if (x.defined()) put_tensor(x, (message->*field)());
}

/// Throws kInvalidArgument unless `value` is finite and on [least, most].
inline void check_number(double value, const char* name, double least = 0,
                         double most = std::numeric_limits<double>::infinity()) {
  check(std::isfinite(value) && value >= least && value <= most, ErrorCode::kInvalidArgument,
        std::string(name) + ": not possible: " + std::to_string(value));
}

inline void put_texts(const std::vector<std::string>& texts,
                      google::protobuf::RepeatedPtrField<std::string>* field) {
  for (const std::string& text : texts) field->Add(valid_utf8(text));
}

}  // namespace lv::services
