#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "services/stages.h"
#include "services/tasks/captioner.h"
#include "services/tasks/result.h"

namespace lv::services {

/// One to six films of the cameras of one car, taken at the same time.
struct RiskRequest {
  std::vector<MediaRequest> views;  // each names its `view`; see camera_view()
  std::string question;             // to be answered instead of an assessment; may be empty
  std::vector<CompressionSpec> compression;  // none: what is usual with the model
};

/// Judges what endangers a car: level, object, view, time, reason, advice. Films longer than a few
/// seconds are judged part by part, and the worst part is the answer. What the model writes obeys a
/// grammar, so that every assessment can be read.
///
/// Views of different lengths are judged as far as all of them reach, one picture as a film that
/// shows no motion, and black or frozen cameras with the others: each with a warning.
/// Immutable; runs may be concurrent if the stages allow it.
/// Reference: models/nano/recipe, driving/words.py (the questions and the line of an assessment).
class RiskAssessor {
 public:
  /// `model` is the name that results carry.
  RiskAssessor(Stages stages, std::string model);

  /// Throws kInvalidArgument on no views, unknown or repeated ones, kFailedPrecondition if no
  /// view shows anything but black, and what the stages throw.
  TaskResult assess(const RiskRequest& request, const TaskObserver& observer = {}) const;

 private:
  Stages stages_;
  std::string model_;
};

/// The grammar of an assessment of these views, in XGrammar's EBNF.
std::string risk_grammar(const std::vector<std::string>& views);

/// What an assessment says. Throws kInternal on a line that does not obey the grammar.
Risk read_assessment(const std::string& line);

}  // namespace lv::services
