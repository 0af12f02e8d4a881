#include "services/tasks/captioner.h"

#include "llm/grammar/json_schema.h"
#include "pipeline/base/error.h"
#include "services/tasks/answering.h"
#include "services/tasks/listening.h"
#include "services/tasks/looking.h"
#include "services/tasks/scene.h"

namespace lv::services {
namespace {

constexpr const char* kDefaultRequest = "Describe what is shown in one sentence.";
// A small model stays with the matter when its answer is begun for it.
constexpr const char* kFilmBeginning = "The video shows";
constexpr const char* kStillBeginning = "The picture shows";

/// A caption under way.
struct Captioning {
  const CaptionRequest& request;
  TaskRun run;

  /// Whether the answer is to be left as the model writes it.
  bool exact() const {
    return !request.options.json_schema.empty() || !request.options.grammar.empty();
  }
  std::string asked() const { return request.prompt.empty() ? kDefaultRequest : request.prompt; }
};

/// The model's answer about these scenes. Streams it to the observer if `stream`.
std::string answer_about(Captioning& task, const std::vector<Scene>& scenes,
                         const AdapterWeights& adapters, bool stream) {
  const CaptionRequest& request = task.request;
  const FilmManner& films = task.run.stages.films;
  Prompt prompt;
  prompt.messages.push_back(films.pictures_first ? message_about_clip(scenes.front(), task.asked())
                                                 : message_about(scenes, task.asked(), films));
  std::string begun;
  if (request.prompt.empty() && !task.exact() && !films.pictures_first) {
    begun = scenes.front().still ? kStillBeginning : kFilmBeginning;
    prompt.messages.push_back({"assistant", {begun}});
  }
  prompt.options = request.options;
  prompt.adapters = adapters;
  if (request.point) prompt.pointing = Pointing{};
  return answer(task.run, std::move(prompt), std::move(begun), stream);
}

/// The answer with what was heard and read, word for word; JSON is left as it is.
std::string text_about(Captioning& task, const std::vector<Scene>& scenes,
                       const AdapterWeights& adapters, bool stream) {
  std::string written = answer_about(task, scenes, adapters, stream);
  return task.exact() ? written : with_quotes(std::move(written), scenes);
}

void write_segments(Captioning& task, const std::vector<Scene>& scenes,
                    const AdapterWeights& adapters) {
  TaskRun& run = task.run;
  for (size_t i = 0; i < scenes.size(); ++i) {
    run.progress("generate", static_cast<double>(i + 1) / static_cast<double>(scenes.size() + 1));
    const std::vector<Scene> one = {scenes[i]};
    // One scene alone: its text is the answer, which is written already.
    const std::string text =
        scenes.size() == 1 ? run.result.text : text_about(task, one, adapters, false);
    run.result.segments.push_back({scenes[i].start_seconds, scenes[i].end_seconds, text});
  }
}

}  // namespace

Captioner::Captioner(Stages stages, std::shared_ptr<const vision::TextReader> reader,
                     std::string model)
    : stages_(std::move(stages)), reader_(std::move(reader)), model_(std::move(model)) {}

TaskResult Captioner::caption(const CaptionRequest& request, const TaskObserver& observer) const {
  check(!request.sources.empty(), ErrorCode::kInvalidArgument,
        "caption: expected at least one file, got none");
  // What cannot be asked for is said before anything long begins.
  if (!request.options.json_schema.empty()) llm::exact_schema(request.options.json_schema);
  Captioning task{request,
                  {"caption", model_, request.sources, stages_, request.compression, observer}};
  TaskRun& run = task.run;
  if (request.read) run.reader = reader_.get();
  run.longest_sides = request.longest_sides;
  {
    StageClock total_clock;
    StageClock::Span total(total_clock, run.result.times.total);
    if (request.listen) {
      run.progress("listen", 0);
      run.heard = listen_to(request.sources, stages_, run.clock, run.result);
    }
    const VisualTokens visual = look_at(run);
    const VisualContext context = compress(run, visual, task.asked());
    const auto* tokens = std::get_if<CompressedTokens>(&context);
    const auto* adapters = std::get_if<AdapterWeights>(&context);
    const AdapterWeights weights = adapters != nullptr ? *adapters : AdapterWeights();
    const std::vector<Scene> scenes =
        scenes_of(run.result, visual, tokens != nullptr ? *tokens : CompressedTokens());
    run.progress("generate", 0);
    const bool one_clip = stages_.films.pictures_first && tokens != nullptr;
    run.result.text = text_about(
        task, one_clip ? std::vector{whole_clip(scenes, visual, *tokens)} : scenes, weights, true);
    if (one_clip && run.pointed) {
      if (auto shown = evidence_shown(*run.pointed, tokens->origin)) {
        run.result.evidence.push_back(std::move(*shown));
      }
    }
    if (request.segments) write_segments(task, scenes, weights);
  }
  run.result.peak_memory_bytes = peak_memory_bytes();
  run.progress("done", 1);
  return std::move(run.result);
}

}  // namespace lv::services
