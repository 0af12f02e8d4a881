#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llm/models/causal_lm.h"
#include "llm/plan/layer_plan.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::apps {

/// The language model that a benchmark reads with, and its texts: --model, --device, --dtype,
/// --threads, --text, --ids.
struct BenchModel {
  std::string model = "nano";
  std::string device = "cpu";
  std::string dtype = "auto";
  int threads = 2;
  std::string text;
  std::string ids;

  void add_to(CLI::App& command);

  /// Opens the model and sets the number of threads.
  Checkpoint open() const;

  /// `count` token ids of the text or the ids given, which must have so many; made up from `seed`
  /// if neither was given.
  std::vector<int64_t> token_ids(const Checkpoint& checkpoint, int64_t vocabulary, int64_t count,
                                 int64_t seed = 0) const;
};

/// The ids of a text in a checkpoint's tokenizer. Throws kUnimplemented in a build that has none.
std::vector<int64_t> tokenize(const Checkpoint& checkpoint, const std::string& text);

/// Where the model of a name, a folder or a file lies; a build without services knows no names.
std::string checkpoint_of_name(const std::string& model);

/// Peak memory of this process, in bytes: of the GPU where the model computes on one.
int64_t peak_bytes(at::Device device);

}  // namespace lv::apps
