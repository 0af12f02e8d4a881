#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/compared_prompt.h"

namespace lv::apps {

/// What is compared, and how often: --methods, --keep, --new-tokens, --step-tokens, --threads,
/// --repeat.
struct ComparisonFlags {
  std::vector<std::string> methods;  // all that need no training if none
  std::vector<double> keep = {1, 0.5, 0.25, 0.1, 0.05};
  int64_t new_tokens = 32;
  int64_t step_tokens = llm::EngineLimits().step_tokens;
  int threads = 2;
  int64_t repeat = 3;

  void add_to(CLI::App& command);
};

/// Looks at, compresses and reads a prompt with each method at each share of tokens, in turns, and
/// prints a line of JSON for each; docs/compression.md says what is in it. Methods that cannot be
/// run are left out with a line on the standard error, or thrown if they were asked for.
void compare_methods(const ComparedPrompt& prompt, const ComparisonFlags& flags);

}  // namespace lv::apps
