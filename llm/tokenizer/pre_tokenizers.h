#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/json.h"

namespace lv::llm {

/// A part of the text that the model tokenises on its own.
struct Word {
  std::string text;
  bool first = false;  // it begins where the whole text begins
};
using Words = std::vector<Word>;

/// Splits text into words: one entry of tokenizer.json's `pre_tokenizer`. Immutable, thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Words& words) const = 0;
};
using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

/// From its description; nullptr for null. Throws kInvalidArgument, or kUnimplemented that names
/// the type.
PreTokenizerPtr make_pre_tokenizer(const Json& description);

/// GPT-2's split: contractions, letters, numbers, other characters, each with one space before.
/// Reference: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
extern const char* const kGpt2Pattern;

}  // namespace lv::llm
