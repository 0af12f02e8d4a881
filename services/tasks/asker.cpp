#include "services/tasks/asker.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "llm/grammar/json_schema.h"
#include "pipeline/base/error.h"
#include "pipeline/media/pdf_file.h"
#include "pipeline/media/picture_header.h"
#include "services/tasks/answering.h"
#include "services/tasks/clip.h"
#include "services/tasks/evidence.h"
#include "services/tasks/listening.h"
#include "services/tasks/looking.h"
#include "services/tasks/reading.h"
#include "services/tasks/retrieval.h"
#include "services/tasks/scene.h"

namespace lv::services {
namespace {

constexpr size_t kMostPagesSeen = 4;  // of all documents, which bounds the visual tokens
constexpr int64_t kSeenSide = 1344;   // pixels of a page that is looked at

/// One run.
struct Asking {
  const AskRequest& request;
  TaskRun run;
  std::vector<ReadPage> pages = {};    // of documents, then of pictures
  std::optional<Evidence> shown = {};  // what the answer rests on, by the model
};

bool is_document(const TaskResult& result, int32_t source) {
  return result.sources[static_cast<size_t>(source)].media.kind == MediaKind::kDocument;
}

/// A document's page as the encoder takes it; its number is its time.
FrameBatch frame_of(const PdfPicture& picture, int32_t source) {
  FrameBatch batch;
  batch.pixels = picture.pixels.unsqueeze(0);
  batch.pts_seconds = at::full({1}, picture.number, at::kDouble);
  batch.media = {MediaKind::kDocument, 0, static_cast<int32_t>(picture.pixels.size(1)),
                 static_cast<int32_t>(picture.pixels.size(0))};
  batch.source = source;
  return batch;
}

/// The pages to look at, best first: those with most to say, all of them where nothing is written.
std::vector<int32_t> pages_to_see(const Asking& task, const ReadDocument& document) {
  std::vector<int32_t> numbers;
  const std::vector<ReadPage> telling =
      most_telling(document.pages, task.request.question, task.request.text_tokens);
  const auto seen_anyway = [&](const ReadPage& page) {
    return task.run.stages.trained_eyes || page.cells.empty();
  };
  for (const ReadPage& page : telling.empty() ? document.pages : telling) {
    if (seen_anyway(page)) numbers.push_back(page.number);
  }
  return numbers;
}

/// Reads a document and draws those of its pages that are to be looked at.
void read_source(Asking& task, int32_t source, size_t& seen) {
  TaskRun& run = task.run;
  const MediaRequest& request = run.sources[static_cast<size_t>(source)];
  StageClock::Span decoding(run.clock, run.result.times.decode);
  const PdfFile file(request);
  ReadDocument document = read_document(file, source, request.name, run.reader);
  SourceReport& report = run.result.sources[static_cast<size_t>(source)];
  report.media = {MediaKind::kDocument, 0, document.width, document.height};
  report.pages = static_cast<int32_t>(document.page_count);
  for (std::string& warning : document.warnings) {
    run.result.warnings.push_back(std::move(warning));
  }
  std::vector<int32_t> numbers = pages_to_see(task, document);
  if (numbers.size() > kMostPagesSeen - seen) {
    numbers.resize(kMostPagesSeen - seen);
    run.result.warnings.push_back(request.name + ": " + std::to_string(numbers.size()) +
                                  " of its pages are looked at");
  }
  seen += numbers.size();
  std::vector<FrameBatch>& pictures = run.pictures[static_cast<size_t>(source)];
  for (const PdfPicture& picture : file.pictures(numbers, kSeenSide)) {
    pictures.push_back(frame_of(picture, source));
  }
  for (ReadPage& page : document.pages) task.pages.push_back(std::move(page));
}

void read_documents(Asking& task) {
  size_t seen = 0;
  for (size_t i = 0; i < task.run.sources.size(); ++i) {
    if (lv::is_document(MediaInput(task.run.sources[i]))) {
      read_source(task, static_cast<int32_t>(i), seen);
    }
  }
}

/// What is left of the pages for the prompt, with a warning of what is not.
std::vector<ReadPage> pages_for_prompt(Asking& task) {
  std::vector<ReadPage> kept =
      most_telling(task.pages, task.request.question, task.request.text_tokens);
  const auto cells = [](const std::vector<ReadPage>& pages) {
    size_t count = 0;
    for (const ReadPage& page : pages) count += page.cells.size();
    return count;
  };
  const size_t all = cells(task.pages), left = cells(kept);
  if (left < all) {
    task.run.result.warnings.push_back(
        "the text is too long for the prompt: " + std::to_string(left) + " of " +
        std::to_string(all) + " cells on " + std::to_string(kept.size()) + " of " +
        std::to_string(task.pages.size()) + " pages are told, those nearest to the question");
  }
  return kept;
}

/// A page as a part of the prompt, with what was seen of it.
Scene scene_of(const ReadPage& page, const TaskRun& run, const CompressedTokens& tokens) {
  Scene scene;
  scene.source = page.source;
  scene.still = true;
  scene.page = page.number;
  scene.rows = vision::text_of(page.cells);
  if (tokens.embeddings.defined() && (run.stages.trained_eyes || scene.rows.empty())) {
    const double end = page.number > 0 ? page.number + 1 : 1e-3;
    scene.tokens = between(tokens, page.source, page.number, end);
  }
  return scene;
}

bool says_anything(const Scene& scene) {
  const bool seen = scene.tokens.embeddings.defined() && scene.tokens.embeddings.size(0) > 0;
  return seen || !scene.rows.empty() || !scene.said.empty() || !scene.written.empty() ||
         !scene.labels.empty();
}

/// What the prompt tells, source by source.
std::vector<Scene> told_scenes(const Asking& task, const std::vector<ReadPage>& pages,
                               const VisualTokens& visual, const CompressedTokens& tokens) {
  const TaskResult& result = task.run.result;
  std::vector<Scene> told;
  for (const Scene& scene : scenes_of(result, visual, tokens)) {
    const auto page = std::ranges::find(pages, scene.source, &ReadPage::source);
    const bool written = page != pages.end();
    if (is_document(result, scene.source)) {
      for (const ReadPage& each : task.pages) {  // also those that were only seen
        if (each.source != scene.source) continue;
        const auto kept = std::ranges::find_if(pages, [&](const ReadPage& other) {
          return other.source == each.source && other.number == each.number;
        });
        told.push_back(
            scene_of(kept != pages.end() ? *kept : ReadPage{each.source, each.number, {}}, task.run,
                     tokens));
      }
    } else if (written && scene.still) {
      told.push_back(scene_of(*page, task.run, tokens));
      if (task.run.stages.trained_eyes) told.back().labels = scene.labels;
    } else {
      told.push_back(scene);
    }
  }
  std::erase_if(told, [](const Scene& scene) { return !says_anything(scene); });
  return told;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// What the model said, or kNotFound where it says so in its own way.
std::string settled(const std::string& said) {
  const std::string text = trimmed(said);
  const std::vector<std::string> terms = terms_of(text);
  const bool none = terms.size() >= 2 && terms[0] == "not" && terms[1] == "found";
  return none || text.empty() ? kNotFound : text;
}

/// The answer; what the model points at, where it shows films and pictures alone, is noted.
std::string answer_about(Asking& task, const std::vector<Scene>& scenes,
                         const AdapterWeights& adapters) {
  if (scenes.empty() && adapters.empty()) return kNotFound;
  Prompt prompt;
  const FilmManner& films = task.run.stages.films;
  const std::string& question = task.request.question;
  const bool as_one = films.pictures_first && !scenes.empty();
  const Scene clip = as_one ? joined(scenes) : Scene();
  prompt.messages.push_back(as_one ? message_about_clip(clip, question)
                                   : message_about(scenes, question, films));
  if (as_one && clip.rows.empty()) prompt.pointing = Pointing{};
  prompt.options = task.request.options;
  prompt.adapters = adapters;
  const bool wants_json = !prompt.options.json_schema.empty();
  const std::string said = answer(task.run, std::move(prompt), "", true);
  if (task.run.pointed) task.shown = evidence_shown(*task.run.pointed, clip.tokens.origin);
  return wants_json ? said : settled(said);
}

}  // namespace

Asker::Asker(Stages stages, std::shared_ptr<const vision::TextReader> reader, std::string model)
    : stages_(std::move(stages)), reader_(std::move(reader)), model_(std::move(model)) {}

TaskResult Asker::ask(const AskRequest& request, const TaskObserver& observer) const {
  check(!request.sources.empty(), ErrorCode::kInvalidArgument,
        "ask: expected at least one file, got none");
  check(!terms_of(request.question).empty(), ErrorCode::kInvalidArgument,
        "question: expected words, got none");
  check(request.text_tokens > 0, ErrorCode::kInvalidArgument,
        "text_tokens: expected more than 0, got " + std::to_string(request.text_tokens));
  if (!request.options.json_schema.empty()) llm::exact_schema(request.options.json_schema);
  Asking task{request, {"ask", model_, request.sources, stages_, request.compression, observer}};
  TaskRun& run = task.run;
  run.reader = request.read ? reader_.get() : nullptr;
  run.pages = &task.pages;
  {
    StageClock total_clock;
    StageClock::Span total(total_clock, run.result.times.total);
    run.progress("decode", 0);
    read_documents(task);
    if (request.listen) {
      run.progress("listen", 0);
      run.heard = listen_to(request.sources, stages_, run.clock, run.result);
    }
    const VisualTokens visual = look_at(run);
    const VisualContext context =
        visual.features.size(0) > 0 ? compress(run, visual, request.question) : CompressedTokens();
    const auto* tokens = std::get_if<CompressedTokens>(&context);
    const auto* adapters = std::get_if<AdapterWeights>(&context);
    const std::vector<ReadPage> pages = pages_for_prompt(task);
    const std::vector<Scene> scenes =
        told_scenes(task, pages, visual, tokens != nullptr ? *tokens : CompressedTokens());
    run.progress("generate", 0);
    run.result.text =
        answer_about(task, scenes, adapters != nullptr ? *adapters : AdapterWeights());
    run.result.evidence = evidence_for(run.result.text, request.question, task.pages, run.result);
    const bool found = run.result.text != kNotFound;
    if (found && run.result.evidence.empty() && task.shown) run.result.evidence = {*task.shown};
  }
  run.result.peak_memory_bytes = peak_memory_bytes();
  run.progress("done", 1);
  return std::move(run.result);
}

}  // namespace lv::services
