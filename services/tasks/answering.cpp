#include "services/tasks/answering.h"

#include <algorithm>

#include "pipeline/base/cancellation.h"
#include "pipeline/stage/sources.h"

namespace lv::services {
namespace {

void warn_once(TaskResult& result, std::string warning) {
  if (std::ranges::find(result.warnings, warning) == result.warnings.end()) {
    result.warnings.push_back(std::move(warning));
  }
}

}  // namespace

std::string answer(TaskRun& run, Prompt prompt, std::string begun, bool stream) {
  const bool wants_json = !prompt.options.json_schema.empty();
  auto deltas = timed(run.stages.generate->start(source_of_one(std::move(prompt))), run.clock,
                      run.result.times.generate);
  std::string text = std::move(begun);
  run.pointed.reset();
  if (stream && run.observer.text) run.observer.text(text);
  while (auto delta = deltas->next()) {
    check_cancelled();
    text += delta->text;
    if (delta->pointed) run.pointed = std::move(delta->pointed);
    run.result.tokens.prompt += delta->prompt_tokens;
    run.result.tokens.generated += delta->generated_tokens;
    run.result.tokens.cached += delta->cached_tokens;
    if (stream && run.observer.text) run.observer.text(delta->text);
    if (wants_json && delta->finish == FinishReason::kLength) {
      warn_once(run.result, "an answer was cut off after " +
                                std::to_string(delta->generated_tokens) +
                                " tokens: its JSON is not whole");
    }
  }
  return text;
}

}  // namespace lv::services
