#pragma once

#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"

namespace lv {

/// Reads every tensor of a checkpoint and looks at each of its parts, in outline too.
inline void read_parts(const Checkpoint& whole) {
  for (const std::string& name : whole.tensors().names()) {
    try {
      whole.tensors().get(name);
    } catch (const Error&) {  // one whose conversion cannot be undone
    }
  }
  for (const auto part : {text_part, vision_part, connector_part, compressor_part}) {
    try {
      const Checkpoint outline = part(whole).outline();
      for (const std::string& name : outline.tensors().names()) outline.tensors().shape(name);
      outline.finish();
    } catch (const Error&) {  // there is no such part, or it fits nothing
    }
  }
}

}  // namespace lv
