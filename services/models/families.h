#pragma once

#include <string_view>
#include <vector>

namespace lv::services {

/// A family of checkpoints that people hold, and one of them to begin with.
struct ModelFamily {
  std::string_view architecture;  // as config.json names it
  std::string_view what;
  std::string_view example;  // on Hugging Face
  double example_gb;         // of its weights, which is the memory that --dtype auto needs
};

/// One for each architecture in the tables of language models and of models that see, but for nano,
/// which comes with the program.
const std::vector<ModelFamily>& model_families();

}  // namespace lv::services
