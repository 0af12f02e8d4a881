#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "services/stages.h"
#include "services/tasks/result.h"
#include "services/tasks/retrieval.h"
#include "services/tasks/stage_clock.h"
#include "vision/read/text_reader.h"

namespace lv::services {

/// Told while a task runs, from the thread that runs it. Either may be empty.
struct TaskObserver {
  std::function<void(std::string_view stage, double share_done)> progress;
  std::function<void(const std::string& text)> text;  // of the answer, as it is written
};

/// One run of a task: what it was given, the stages as it wants them, and what it has found out so
/// far. Borrows what it was given.
struct TaskRun {
  TaskRun(const std::string& task, const std::string& model,
          const std::vector<MediaRequest>& asked_sources, const Stages& all_stages,
          const std::vector<CompressionSpec>& compression, const TaskObserver& told);

  void progress(std::string_view stage, double share) const {
    if (observer.progress) observer.progress(stage, share);
  }

  const std::vector<MediaRequest>& sources;
  const TaskObserver& observer;
  const Stages& stages;
  StagePtr<FrameBatch, VisualTokens> encode;       // as the compression asks
  StagePtr<ClipTokens, VisualContext> compressor;  // likewise
  const vision::TextReader* reader = nullptr;      // null if nothing is to be read
  std::vector<ReadPage>* pages = nullptr;  // takes pictures that are read as pages; null: their
                                           // text is read as that of films
  std::vector<int64_t> longest_sides;      // of each source's pictures; none, or 0: as they are
  std::map<size_t, std::vector<FrameBatch>> pictures;  // of sources that are not to be decoded
  std::vector<AudioTokens> heard;  // features of each source's sound, where it was listened to
  std::optional<Pointed> pointed;  // what the last answer rests on, if that was asked for
  StageClock clock;
  TaskResult result;
};

}  // namespace lv::services
