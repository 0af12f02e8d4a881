#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pipeline/base/json.h"
#include "pipeline/weights/converted_store.h"

namespace lv {

/// A tensor's name in GGUF files and in Hugging Face's, both without ".weight" or ".bias".
struct GgufName {
  std::string_view gguf;
  std::string_view hugging_face;
};

/// How one kind of network names its tensors.
struct GgufNames {
  std::span<const GgufName> outer;
  std::span<const GgufName> layer;       // behind a layer's number
  std::string_view gguf_layers;          // what stands before the number, "blk."
  std::string_view hugging_face_layers;  // "model.layers."

  /// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". A name without a
  /// counterpart stays as it is, so that whoever builds the model finds it left over.
  std::string renamed(const std::string& gguf) const;
};

/// A network of a GGUF file as Hugging Face would have it.
struct GgufPart {
  Json config;
  ConvertedStore::Index tensors;
  Json metadata;  // of the file
};

}  // namespace lv
