#pragma once

#include <string>

#include "pipeline/types/media.h"
#include "services/stages.h"
#include "services/tasks/result.h"

namespace lv::services {

/// Writes down what is said in a file. Works the same over local and remote stages. Immutable.
class Transcriber {
 public:
  Transcriber(Stages stages, std::string model)
      : stages_(std::move(stages)), model_(std::move(model)) {}

  /// Throws kNotFound if the file is not there or has no sound, kDataLoss if its sound cannot be
  /// decoded.
  TaskResult transcribe(const MediaRequest& request) const;

 private:
  Stages stages_;
  std::string model_;
};

}  // namespace lv::services
