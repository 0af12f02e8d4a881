#include "services/tasks/looking.h"

#include <ATen/ATen.h>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/buffered.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/clip.h"
#include "services/tasks/reading.h"
#include "services/tasks/shrinking.h"

namespace lv::services {
namespace {

/// Passes frames on and notes what they tell: times, the file, warnings, and text that holds still.
class NotedFrames : public Source<FrameBatch> {
 public:
  NotedFrames(SourcePtr<FrameBatch> inner, TaskRun& run, int32_t source)
      : inner_(std::move(inner)), run_(run), source_(source) {}

  std::optional<FrameBatch> next() override {
    std::optional<FrameBatch> batch = inner_->next();
    if (!batch) {
      if (reading_) finish_reading();
      return std::nullopt;
    }
    note(*batch);
    if (run_.reader != nullptr) read(*batch);
    return batch;
  }

 private:
  void read(const FrameBatch& batch) {
    if (run_.pages != nullptr && batch.media.kind == MediaKind::kPicture) {
      run_.pages->push_back(read_picture(batch.pixels[0].cpu(), source_, *run_.reader));
      return;
    }
    if (!reading_) reading_ = run_.reader->start();
    reading_->add(batch);
  }

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
  TaskRun& run_;
  int32_t source_;
  std::unique_ptr<vision::StillReading> reading_;
};

/// The frames of all files of a request, one file after another: one run of the encoder sees them,
/// since what it makes of a picture may depend on the others.
class AllFrames : public Source<FrameBatch> {
 public:
  explicit AllFrames(TaskRun& run) : run_(run) {}

  std::optional<FrameBatch> next() override {
    const std::vector<MediaRequest>& sources = run_.sources;
    for (; at_ < sources.size(); ++at_, file_.reset()) {
      try {
        if (!file_) open();
        std::optional<FrameBatch> batch = file_->next();
        if (!batch) continue;
        batch->source = static_cast<int32_t>(at_);
        batch->view = sources[at_].view;
        if (at_ < run_.longest_sides.size()) {
          batch->pixels = shrunk(batch->pixels, run_.longest_sides[at_]);
        }
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
  void open() {
    if (const auto known = run_.pictures.find(at_); known != run_.pictures.end()) {
      file_ = source_of(known->second);
      return;
    }
    MediaRequest source = run_.sources[at_];
    source.sampling.rule = run_.stages.films.chosen(source.sampling.rule);
    // What comes next is decoded while this is encoded; decoding then takes what it is waited for.
    auto decoded =
        timed(buffered(run_.stages.decode_video->start(source_of_one(std::move(source))), 1),
              run_.clock, run_.result.times.decode);
    file_ = std::make_unique<NotedFrames>(std::move(decoded), run_, static_cast<int32_t>(at_));
  }

  TaskRun& run_;
  size_t at_ = 0;  // the file that is read
  SourcePtr<FrameBatch> file_;
};

}  // namespace

VisualTokens look_at(TaskRun& run) {
  const auto count = static_cast<double>(run.sources.size());
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

VisualContext compress(TaskRun& run, VisualTokens visual, const std::string& question) {
  run.progress("compress", 0);
  run.result.tokens.visual_in = visual.features.size(0);
  ClipTokens clip{std::move(visual), {}, {}};
  const bool several = run.sources.size() > 1;
  if (run.heard.size() == 1 && run.heard[0].features.defined()) clip.audio = run.heard[0];
  if (several && run.stages.embed_text) clip.question = run.stages.embed_text(question);
  auto source = timed(run.compressor->start(source_of_one(std::move(clip))), run.clock,
                      run.result.times.compress);
  std::optional<VisualContext> context = source->next();
  check(context.has_value(), ErrorCode::kInternal, "compress: expected one result, got none");
  if (const auto* tokens = std::get_if<CompressedTokens>(&*context)) {
    run.result.compression = tokens->reports;
    run.result.tokens.visual_out = tokens->embeddings.size(0);
  }
  return std::move(*context);
}

}  // namespace lv::services
