#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv::services {

/// One network of a checkpoint, or a file beside it.
struct PartReport {
  std::string part;          // "language model", "image encoder", "tokenizer" ...
  std::string architecture;  // of networks
  int64_t parameters = 0;
  Misfit misfit;        // of networks: every tensor that does not fit
  std::string problem;  // why it does not load; empty if it does
};

/// Bytes that the weights of a model take in one type.
struct MemoryNeed {
  std::string dtype;  // as --dtype takes it
  int64_t weight_bytes = 0;
  int64_t context_token_bytes = 0;  // of keys and values of one token
};

/// What a model on disk is, and whether it would load.
struct ModelReport {
  std::string path, architecture, family;
  std::vector<PartReport> parts;
  std::vector<std::string> notes;  // what is not there but need not be
  int64_t parameters = 0;
  int64_t disk_bytes = 0;  // of its tensors
  int64_t context_tokens = 0;
  std::vector<MemoryNeed> memory;

  bool loads() const;
};

/// Builds the parts over the outline of a folder's or GGUF file's tensors, so it reads headers and
/// the text files beside them, and no weight. What cannot be opened is a report too.
/// `projector` is as open_checkpoint() takes it.
ModelReport check_model(const std::string& path, const std::string& projector = {});

}  // namespace lv::services
