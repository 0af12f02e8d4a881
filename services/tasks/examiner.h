#pragma once

#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/media.h"
#include "services/stages.h"
#include "vision/read/page_cells.h"

namespace lv::services {

/// A held-out item that models/nano/recipe drew, and what it is asked (recipe/exam.py).
struct DrawnItem {
  std::vector<MediaRequest> views;      // a film or picture each
  std::vector<double> times;            // of the pictures of each view, in seconds
  std::string task;                     // driving | photos | pages
  std::string transcript;               // of what is said over it; may be empty
  std::vector<vision::PageCell> cells;  // of a page
  Json::Array questions;  // objects; "kind" and "question" are read here, "keep", "text" filled in
};

/// A line of `items.jsonl` in `folder`. Throws kInvalidArgument that names the field.
DrawnItem drawn_item(const Json& line, const std::string& folder);

/// Answers drawn items as their recipe does, with prompts that hold what the model was trained
/// with and nothing else: pictures are looked at once, questions read together what they share.
/// The danger is judged as RiskAssessor does, films and all. Immutable.
class Examiner {
 public:
  /// Of a model with trained eyes. `model` is the name that results carry.
  Examiner(Stages stages, std::string model);

  /// The item's questions, answered at each share of its visual tokens. Throws what the stages
  /// throw, kDataLoss if a film does not show its pictures at their times.
  Json::Array answers(const DrawnItem& item, const std::vector<double>& keeps) const;

 private:
  Stages stages_;
  std::string model_;
};

}  // namespace lv::services
