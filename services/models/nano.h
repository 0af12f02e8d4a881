#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "pipeline/weights/checkpoint.h"
#include "services/stages.h"

namespace lv::services {

/// Where the parts of the default model lie.
struct NanoFiles {
  std::string language_model;  // GGUF
  std::string classifier;      // the folder of the published image classifier
  TensorStorePtr trained;      // what models/nano/recipe makes
  std::string class_names;     // of the classifier, one a line
};

/// The default model as one checkpoint that sees, NanoForConditionalGeneration: the language model
/// with its adapters, eyes, classifier and what joins them, and `class_words`, the mean embeddings
/// of the class names. The classifier's head is there once for pictures and once for places.
/// Throws kNotFound if a file is not there, kInvalidArgument on trained tensors of unknown names.
Checkpoint open_nano(const NanoFiles& files, const Placement& placement = {});

/// How it was trained to be shown films.
FilmManner nano_films();

/// The embeddings of a text by its language model, [n, D], which is opened for the first one.
std::function<at::Tensor(const std::string&)> nano_embedder(const std::string& language_model);

}  // namespace lv::services
