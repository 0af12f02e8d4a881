#pragma once

#include <vector>

#include "pipeline/types/media.h"
#include "services/stages.h"
#include "services/tasks/result.h"
#include "services/tasks/stage_clock.h"

namespace lv::services {

/// Adds what is said in `source` to `result`: transcript, language, the file's facts, warnings.
/// Returns the features of it where `stages.hears`, else none.
/// Throws what decoding or listening throws: kNotFound if there is no sound.
AudioTokens hear(const MediaRequest& source, const Stages& stages, StageClock& clock,
                 TaskResult& result);

/// Hears every source and writes transcript, language, audio use and warnings into `result`.
///
/// Use is kUsed if the sound of any source was read, else kUndecodable if any failed, else kAbsent.
/// A failure is a warning that names the file; cancellation and remote failures are thrown. Returns
/// what hear() returns, of each source.
std::vector<AudioTokens> listen_to(const std::vector<MediaRequest>& sources, const Stages& stages,
                                   StageClock& clock, TaskResult& result);

}  // namespace lv::services
