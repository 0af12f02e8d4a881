#include "services/tasks/transcriber.h"

#include "audio/transcribe/subtitles.h"
#include "services/tasks/listening.h"
#include "services/tasks/stage_clock.h"

namespace lv::services {

TaskResult Transcriber::transcribe(const MediaRequest& request) const {
  TaskResult result;
  result.task = "transcribe";
  result.model = model_;
  result.sources.push_back({request.name, {}});
  StageClock total_clock;
  {
    StageClock::Span total(total_clock, result.times.total);
    StageClock clock;
    hear(request, stages_, clock, result);
  }
  result.audio = AudioUse::kUsed;
  result.peak_memory_bytes = peak_memory_bytes();
  result.text = audio::to_text(result.transcript);
  return result;
}

}  // namespace lv::services
