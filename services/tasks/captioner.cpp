#include "services/tasks/captioner.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "llm/grammar/json_schema.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/clip.h"
#include "services/tasks/listening.h"
#include "services/tasks/scene.h"
#include "services/tasks/stage_clock.h"

namespace lv::services {
namespace {

constexpr const char* kDefaultRequest = "Describe what is shown in one sentence.";
// A small model stays with the matter when its answer is begun for it.
constexpr const char* kFilmBeginning = "The video shows";
constexpr const char* kStillBeginning = "The picture shows";

/// One run: what it has found out so far and the clock that it is timed with.
struct Run {
  const CaptionRequest& request;
  const TaskObserver& observer;
  const Stages& stages;
  StagePtr<FrameBatch, VisualTokens> encode;       // as the request's compression asks
  StagePtr<ClipTokens, VisualContext> compressor;  // likewise
  const vision::TextReader* reader;                // null if nothing is to be read
  StageClock clock;
  TaskResult result;

  bool wants_json() const { return !request.options.json_schema.empty(); }
  void progress(std::string_view stage, double share) const {
    if (observer.progress) observer.progress(stage, share);
  }
};

/// Passes frames on and notes what they tell: times, the file, warnings, and text that holds still.
class NotedFrames : public Source<FrameBatch> {
 public:
  NotedFrames(SourcePtr<FrameBatch> inner, Run& run, int32_t source)
      : inner_(std::move(inner)), run_(run), source_(source) {
    if (run_.reader != nullptr) reading_ = run_.reader->start();
  }

  std::optional<FrameBatch> next() override {
    std::optional<FrameBatch> batch = inner_->next();
    if (!batch) {
      if (reading_) finish_reading();
      return std::nullopt;
    }
    note(*batch);
    if (reading_) reading_->add(*batch);
    return batch;
  }

 private:
  void note(const FrameBatch& batch) {
    TaskResult& result = run_.result;
    result.sources[static_cast<size_t>(source_)].media = batch.media;
    result.warnings.insert(result.warnings.end(), batch.warnings.begin(), batch.warnings.end());
    const at::Tensor pts = batch.pts_seconds.contiguous();
    for (int64_t t = 0; t < pts.size(0); ++t) {
      result.sampling.push_back({source_, pts.const_data_ptr<double>()[t]});
    }
  }

  void finish_reading() {
    for (vision::ScreenText& text : reading_->finish()) {
      run_.result.screen_text.push_back(std::move(text));
    }
    reading_.reset();
  }

  SourcePtr<FrameBatch> inner_;
  Run& run_;
  int32_t source_;
  std::unique_ptr<vision::StillReading> reading_;
};

/// The frames of all files of a request, one file after another: one run of the encoder sees them,
/// since what it makes of a picture may depend on the others.
class AllFrames : public Source<FrameBatch> {
 public:
  explicit AllFrames(Run& run) : run_(run) {}

  std::optional<FrameBatch> next() override {
    const std::vector<MediaRequest>& sources = run_.request.sources;
    for (; at_ < sources.size(); ++at_, file_.reset()) {
      try {
        if (!file_) open(sources[at_]);
        std::optional<FrameBatch> batch = file_->next();
        if (!batch) continue;
        batch->source = static_cast<int32_t>(at_);
        return batch;
      } catch (const Error& problem) {
        // Sound alone can be told, too.
        if (problem.code() != ErrorCode::kNotFound || run_.result.audio != AudioUse::kUsed) throw;
        run_.result.warnings.push_back(std::string("no pictures: ") + problem.what());
      }
    }
    return std::nullopt;
  }

 private:
  void open(MediaRequest source) {
    source.sampling.rule = run_.stages.films.chosen(source.sampling.rule);
    auto decoded = timed(run_.stages.decode_video->start(source_of_one(std::move(source))),
                         run_.clock, run_.result.times.decode);
    file_ = std::make_unique<NotedFrames>(std::move(decoded), run_, static_cast<int32_t>(at_));
  }

  Run& run_;
  size_t at_ = 0;  // the file that is read
  SourcePtr<FrameBatch> file_;
};

VisualTokens look_at(Run& run) {
  const auto count = static_cast<double>(run.request.sources.size());
  auto encoded = timed(run.encode->start(std::make_unique<AllFrames>(run)), run.clock,
                       run.result.times.encode);
  std::vector<VisualTokens> parts;
  run.progress("encode", 0);
  while (auto tokens = encoded->next()) {
    check_cancelled();
    if (tokens->features.size(0) > 0) {
      run.progress("encode", tokens->origin.source[0].item<int32_t>() / count);
    }
    parts.push_back(std::move(*tokens));
  }
  return joined(std::move(parts));
}

VisualContext compress(Run& run, VisualTokens visual) {
  run.progress("compress", 0);
  run.result.tokens.visual_in = visual.features.size(0);
  auto source = timed(run.compressor->start(source_of_one(ClipTokens{std::move(visual), {}, {}})),
                      run.clock, run.result.times.compress);
  std::optional<VisualContext> context = source->next();
  check(context.has_value(), ErrorCode::kInternal, "compress: expected one result, got none");
  if (const auto* tokens = std::get_if<CompressedTokens>(&*context)) {
    run.result.compression = tokens->reports;
    run.result.tokens.visual_out = tokens->embeddings.size(0);
  }
  return std::move(*context);
}

void warn_once(TaskResult& result, std::string warning) {
  if (std::ranges::find(result.warnings, warning) == result.warnings.end()) {
    result.warnings.push_back(std::move(warning));
  }
}

/// The model's answer about these scenes. Streams it to the observer if `stream`.
std::string answer(Run& run, const std::vector<Scene>& scenes, const AdapterWeights& adapters,
                   bool stream) {
  const bool own_words = run.request.prompt.empty();
  const bool begun = own_words && !run.wants_json();
  Prompt prompt;
  prompt.messages.push_back(
      message_about(scenes, own_words ? kDefaultRequest : run.request.prompt, run.stages.films));
  std::string text;
  if (begun) {
    text = scenes.front().still ? kStillBeginning : kFilmBeginning;
    prompt.messages.push_back({"assistant", {text}});
  }
  prompt.options = run.request.options;
  prompt.adapters = adapters;
  auto deltas = timed(run.stages.generate->start(source_of_one(std::move(prompt))), run.clock,
                      run.result.times.generate);
  if (stream && run.observer.text) run.observer.text(text);
  while (auto delta = deltas->next()) {
    check_cancelled();
    text += delta->text;
    run.result.tokens.prompt += delta->prompt_tokens;
    run.result.tokens.generated += delta->generated_tokens;
    run.result.tokens.cached += delta->cached_tokens;
    if (stream && run.observer.text) run.observer.text(delta->text);
    if (run.wants_json() && delta->finish == FinishReason::kLength) {
      warn_once(run.result, "an answer was cut off after " +
                                std::to_string(delta->generated_tokens) +
                                " tokens: its JSON is not whole");
    }
  }
  return text;
}

/// The answer with what was heard and read, word for word; JSON is left as it is.
std::string text_about(Run& run, const std::vector<Scene>& scenes, const AdapterWeights& adapters,
                       bool stream) {
  std::string written = answer(run, scenes, adapters, stream);
  return run.wants_json() ? written : with_quotes(std::move(written), scenes);
}

void write_segments(Run& run, const std::vector<Scene>& scenes, const AdapterWeights& adapters) {
  for (size_t i = 0; i < scenes.size(); ++i) {
    run.progress("generate", static_cast<double>(i + 1) / static_cast<double>(scenes.size() + 1));
    const std::vector<Scene> one = {scenes[i]};
    // One scene alone: its text is the answer, which is written already.
    const std::string text =
        scenes.size() == 1 ? run.result.text : text_about(run, one, adapters, false);
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
  Run run{request,
          observer,
          stages_,
          stages_.encode(request.compression),
          stages_.compress(request.compression),
          request.read ? reader_.get() : nullptr,
          {},
          {}};
  run.result.task = "caption";
  run.result.model = model_;
  for (const MediaRequest& source : request.sources)
    run.result.sources.push_back({source.name, {}});
  {
    StageClock total_clock;
    StageClock::Span total(total_clock, run.result.times.total);
    if (request.listen) {
      run.progress("listen", 0);
      listen_to(request.sources, stages_, run.clock, run.result);
    }
    const VisualTokens visual = look_at(run);
    const VisualContext context = compress(run, visual);
    const auto* tokens = std::get_if<CompressedTokens>(&context);
    const auto* adapters = std::get_if<AdapterWeights>(&context);
    const AdapterWeights weights = adapters != nullptr ? *adapters : AdapterWeights();
    const std::vector<Scene> scenes =
        scenes_of(run.result, visual, tokens != nullptr ? *tokens : CompressedTokens());
    run.progress("generate", 0);
    run.result.text = text_about(run, scenes, weights, true);
    write_segments(run, scenes, weights);
  }
  run.result.peak_memory_bytes = peak_memory_bytes();
  run.progress("done", 1);
  return std::move(run.result);
}

}  // namespace lv::services
