#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "llm/engine/engine.h"
#include "pipeline/base/json.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::apps {

/// A compressor by name, with its own options as text.
struct Method {
  std::string name;
  std::map<std::string, std::string> params = {};
};

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

/// Pictures, a question about them, and the models that look and read. What it makes is there when
/// a call returns, unless it is on a GPU.
class ComparedPrompt {
 public:
  virtual ~ComparedPrompt() = default;

  virtual const llm::CausalLm& model() const = 0;
  virtual std::vector<int64_t> stop_ids() const = 0;
  virtual int64_t context_tokens() const = 0;

  /// Throws kNotFound on a method that is not known, kInvalidArgument on options that it does not
  /// know.
  virtual void check_method(const Method& method) const = 0;
  virtual VisualTokens encode(const Method& method) const = 0;
  /// Throws kFailedPrecondition if the method lacks something that others do not need.
  virtual VisualContext compress(const Method& method, VisualTokens visual) const = 0;
  /// What the language model reads: rows, and where they stand.
  virtual llm::EngineRequest read(const VisualTokens& visual,
                                  const CompressedTokens& left) const = 0;

  /// Fields of every line that is printed: model, device and number of frames.
  virtual Json description() const = 0;
};

/// Looks at, compresses and reads a prompt with each method at each share of tokens, in turns, and
/// prints a line of JSON for each; docs/compression.md says what is in it. Methods that cannot be
/// run are left out with a line on the standard error, or thrown if they were asked for.
void compare_methods(const ComparedPrompt& prompt, const ComparisonFlags& flags);

}  // namespace lv::apps
