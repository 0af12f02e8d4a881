#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "apps/compared_prompt.h"

namespace lv::apps {

struct RandomPromptOptions {
  std::string model = "tiny-seeing";  // of random_models(/*seeing=*/true)
  std::string device = "cpu";
  std::string dtype = "auto";
  int64_t frames = 8;        // encoded at once
  int64_t text_tokens = 64;  // around them
};

/// A made-up film of the encoder's size between made-up text, and models of random weights: what
/// times depend on is all there. Throws kNotFound that lists the models.
std::unique_ptr<const ComparedPrompt> random_prompt(const RandomPromptOptions& options);

}  // namespace lv::apps
