#pragma once

#include <memory>
#include <string>

#include "apps/compared_prompt.h"
#include "apps/flags.h"

namespace lv::apps {

/// A file and what is asked about it.
struct FilmQuestion {
  std::string input = {};  // the sample clip if empty
  Sampling sampling = {};
  std::string question = "Describe what is shown in one sentence.";
};

/// A file, decoded once, and a question, in the words of a model. Throws what opening a model and
/// decoding a file throw.
std::unique_ptr<const ComparedPrompt> file_prompt(const ModelFlags& model, FilmQuestion asked);

}  // namespace lv::apps
