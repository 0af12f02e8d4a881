#pragma once

#include <string>

#include "pipeline/types/visual_tokens.h"
#include "services/tasks/task_run.h"

namespace lv::services {

/// Looks at the pictures of all sources in one run of the encoder: what it makes of a picture may
/// depend on the others. Notes the files' facts, times, warnings, and reads what holds still. A
/// file without pictures is an error unless its sound was used.
VisualTokens look_at(TaskRun& run);

/// Compresses what was seen, and notes what that did. `question` is what will be asked about it.
VisualContext compress(TaskRun& run, VisualTokens visual, const std::string& question);

}  // namespace lv::services
