#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/engine/engine.h"
#include "pipeline/base/json.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::apps {

/// A compressor by name, with its own options as text.
struct Method {
  std::string name;
  std::map<std::string, std::string> params = {};
};

/// Pictures, a question about them, and the models that look and read. What it makes is there when
/// a call returns, unless it is on a GPU. Immutable, thread-safe.
class ComparedPrompt {
 public:
  virtual ~ComparedPrompt() = default;

  virtual const std::shared_ptr<const llm::CausalLm>& model() const = 0;
  virtual std::vector<int64_t> stop_ids() const = 0;
  virtual int64_t context_tokens() const = 0;

  /// Throws kNotFound on a method that is not known, kInvalidArgument on options that it does not
  /// know.
  virtual void check_method(const Method& method) const = 0;
  /// The pictures, as they were decoded.
  virtual const std::vector<FrameBatch>& frames() const = 0;
  /// `frames` are the prompt's own, or another decoding of what they show.
  virtual VisualTokens encode(const Method& method, std::vector<FrameBatch> frames) const = 0;
  /// Throws kFailedPrecondition if the method lacks something that others do not need.
  virtual VisualContext compress(const Method& method, VisualTokens visual) const = 0;
  /// What the language model reads: rows, and where they stand.
  virtual llm::EngineRequest read(const VisualTokens& visual,
                                  const CompressedTokens& left) const = 0;

  /// Fields of every line that is printed: model, device and number of frames.
  virtual Json description() const = 0;
};

}  // namespace lv::apps
