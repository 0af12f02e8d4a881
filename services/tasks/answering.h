#pragma once

#include <string>

#include "pipeline/types/prompt.h"
#include "services/tasks/task_run.h"

namespace lv::services {

/// What the model says to `prompt`, behind `begun`, with which its answer was begun. Streams it to
/// the observer if `stream`; counts its tokens, notes what it rests on; warns of JSON that was cut
/// off.
std::string answer(TaskRun& run, Prompt prompt, std::string begun, bool stream);

}  // namespace lv::services
