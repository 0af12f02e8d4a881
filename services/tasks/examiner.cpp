#include "services/tasks/examiner.h"

#include <cmath>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/stage/buffered.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/looking.h"
#include "services/tasks/risk.h"
#include "services/tasks/scene.h"
#include "services/tasks/task_run.h"
#include "vision/encoders/encode_stage.h"

namespace lv::services {
namespace {

constexpr int64_t kMostTokens = 128;    // of an answer, as the recipe's
constexpr double kApartSeconds = 5e-3;  // that times of pictures may be off
constexpr size_t kAhead = 16;           // pieces of an answer that wait for its reader

/// Looks at pictures that it was not given last; what it saw of those it tells again.
class RememberedEncode : public Stage<FrameBatch, VisualTokens> {
 public:
  explicit RememberedEncode(StagePtr<FrameBatch, VisualTokens> inner) : inner_(std::move(inner)) {}

  SourcePtr<VisualTokens> start(SourcePtr<FrameBatch> input) const override {
    std::vector<FrameBatch> frames = collect(*input);
    Pictures given;
    for (const FrameBatch& batch : frames) {
      for (int64_t t = 0; t < batch.pts_seconds.size(0); ++t) {
        given.emplace_back(batch.source, batch.view, batch.pts_seconds[t].item<double>());
      }
    }
    std::lock_guard lock(mutex_);
    if (given != seen_) {
      tokens_ = vision::joined(collect(*inner_->start(source_of(std::move(frames)))));
      seen_ = std::move(given);
    }
    return source_of_one(tokens_);
  }

 private:
  using Pictures = std::vector<std::tuple<int32_t, std::string, double>>;

  StagePtr<FrameBatch, VisualTokens> inner_;
  mutable std::mutex mutex_;
  mutable Pictures seen_;
  mutable VisualTokens tokens_;
};

/// A picture as a page of a document.
FrameBatch page_of(const MediaRequest& request, const Stages& stages) {
  std::optional<FrameBatch> batch = stages.decode_video->start(source_of_one(request))->next();
  check(batch.has_value(), ErrorCode::kDataLoss, request.name + ": expected a picture, got none");
  batch->media.kind = MediaKind::kDocument;
  return std::move(*batch);
}

void check_times(const DrawnItem& item, const TaskResult& result) {
  const size_t count = item.times.size();
  const auto at = [&](size_t i) {
    return std::abs(result.sampling[i].pts_seconds - item.times[i % count]) < kApartSeconds;
  };
  bool right = result.sampling.size() == count * item.views.size();
  for (size_t i = 0; right && i < result.sampling.size(); ++i) right = at(i);
  check(right, ErrorCode::kDataLoss,
        item.views.front().name + ": expected " + std::to_string(count) +
            " pictures of each view at the times that its recipe gave");
}

std::vector<CompressionSpec> compression(const DrawnItem& item, double keep) {
  return {{item.views.size() > 1 ? "interactor" : "tome", {{"keep", Json(keep).dump()}}}};
}

/// As models/nano/recipe writes it, driving/words.py.
std::string line_of(const Risk& risk) {
  const auto said = [](const std::string& text) { return text.empty() ? "none" : text; };
  return "level: " + risk.level + "; object: " + said(risk.object) + "; view: " + said(risk.view) +
         "; reason: " + risk.reason + "; advice: " + risk.advice;
}

bool is_assessment(const Json& question) { return question.at("kind").as_string() == "assess"; }

/// An answer under way, on a thread of its own.
struct Answering {
  SourcePtr<TextDelta> deltas;
  std::string text = {};
  std::optional<Pointed> pointed = {};
  std::shared_ptr<const Risk> judged = {};  // of an assessment, once it has text

  bool more() {
    std::optional<TextDelta> delta = deltas->next();
    if (!delta) return false;
    text += delta->text;
    if (delta->pointed) pointed = std::move(delta->pointed);
    return true;
  }
};

Json box_json(const std::array<float, 4>& box) {
  Json edges;
  for (const float edge : box) edges.push_back(edge);
  return edges;
}

/// Cells of a page whose text begins at byte `at`, as vision::text_of() writes it.
Pointing cells_at(int64_t at, const std::vector<vision::PageCell>& cells) {
  Pointing pointing;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) at += cells[i].row == cells[i - 1].row ? 3 : 1;  // " | ", "\n"
    const auto end = at + static_cast<int64_t>(cells[i].text.size());
    pointing.cells.push_back({at, end});
    at = end;
  }
  return pointing;
}

/// One item that was looked at.
class Exam {
 public:
  Exam(const DrawnItem& item, const Stages& stages, const std::string& model)
      : item_(item),
        stages_(stages),
        model_(model),
        run_("evaluate", model, item.views, stages, {}, nobody_) {
    const bool page = item.task == "pages";
    if (page) run_.pictures[0] = {page_of(item.views.front(), stages)};
    visual_ = look_at(run_);
    if (!page) check_times(item, run_.result);
  }

  /// Begins to answer the question at a share of the tokens.
  Answering begin(const Json& question, double keep) {
    const auto judged = std::make_shared<Risk>();
    SourcePtr<TextDelta> deltas =
        is_assessment(question) ? std::make_unique<Judgement>(*this, keep, judged)
                                : stages_.generate->start(source_of_one(prompt(question, keep)));
    return {buffered(std::move(deltas), kAhead), {}, {}, judged};
  }

  /// The box around what an answer rests on; empty where nobody asked.
  Json box_of(const Answering& answering) const {
    if (answering.judged->box) return box_json(*answering.judged->box);
    std::vector<std::array<float, 4>> boxes;
    for (const int64_t row : answering.pointed ? answering.pointed->rows : std::vector<int64_t>()) {
      boxes.push_back(item_.cells.at(static_cast<size_t>(row)).box);
    }
    return boxes.empty() ? Json(Json::Array()) : box_json(united(boxes));
  }

 private:
  /// The danger, judged when somebody pulls.
  class Judgement : public Source<TextDelta> {
   public:
    Judgement(const Exam& exam, double keep, std::shared_ptr<Risk> judged)
        : exam_(exam), keep_(keep), judged_(std::move(judged)) {}
    std::optional<TextDelta> next() override {
      if (std::exchange(done_, true)) return std::nullopt;
      const RiskAssessor assessor(exam_.stages_, exam_.model_);
      const DrawnItem& item = exam_.item_;
      TextDelta all;
      *judged_ = *assessor.assess({item.views, "", compression(item, keep_)}).risk;
      all.text = line_of(*judged_);
      return all;
    }

   private:
    const Exam& exam_;
    const double keep_;
    const std::shared_ptr<Risk> judged_;
    bool done_ = false;
  };

  /// What is left of the tokens; of several views it depends on the question.
  const CompressedTokens& left(const std::string& question, double keep) {
    if (keep != keep_ || item_.views.size() > 1) {
      run_.compressor = stages_.compress(compression(item_, keep));
      left_ = std::get<CompressedTokens>(compress(run_, visual_, question));
      keep_ = keep;
    }
    return left_;
  }

  Prompt prompt(const Json& line, double keep) {
    const std::string& question = line.at("question").as_string();
    const CompressedTokens& tokens = left(question, keep);
    Scene clip = whole_clip(scenes_of(run_.result, visual_, tokens), visual_, tokens);
    if (!item_.transcript.empty()) clip.said = {item_.transcript};
    clip.rows = vision::text_of(item_.cells);
    Prompt prompt;
    prompt.messages = {message_about_clip(clip, question)};
    prompt.options.max_tokens = kMostTokens;
    const Json* evidence = line.find("evidence");
    const bool shown = evidence != nullptr && !evidence->as_array().empty();
    if (shown && !item_.cells.empty()) prompt.pointing = cells_at(rows_begin(clip), item_.cells);
    return prompt;
  }

  const DrawnItem& item_;
  const Stages& stages_;
  const std::string& model_;
  const TaskObserver nobody_;
  TaskRun run_;
  VisualTokens visual_;
  double keep_ = 0;  // that `left_` was compressed to
  CompressedTokens left_;
};

}  // namespace

DrawnItem drawn_item(const Json& line, const std::string& folder) {
  DrawnItem item;
  for (const Json& time : line.at("times").as_array()) item.times.push_back(time.as_double());
  const Json::Array &films = line.at("films").as_array(), &views = line.at("views").as_array();
  check(!films.empty() && films.size() == views.size(), ErrorCode::kInvalidArgument,
        "films: expected one for each view, got " + std::to_string(films.size()));
  for (size_t i = 0; i < films.size(); ++i) {
    MediaRequest request;
    request.media = folder + "/" + films[i].as_string();
    request.name = std::get<std::string>(request.media);
    request.view = views[i].as_string();
    request.sampling.rule = UniformFrames{static_cast<int64_t>(item.times.size())};
    item.views.push_back(std::move(request));
  }
  item.transcript = line.at("transcript").as_string();
  for (const Json& cell : line.at("cells").as_array()) {
    const Json::Array& edges = cell.at("box").as_array();
    check(edges.size() == 4, ErrorCode::kInvalidArgument,
          "cells.box: expected 4 numbers, got " + std::to_string(edges.size()));
    vision::PageCell known{cell.at("text").as_string(), {}, 0};
    for (size_t i = 0; i < 4; ++i) known.box[i] = static_cast<float>(edges[i].as_double());
    known.row = static_cast<int32_t>(cell.at("row").as_int());
    item.cells.push_back(std::move(known));
  }
  item.questions = line.at("lines").as_array();
  check(!item.questions.empty(), ErrorCode::kInvalidArgument,
        "lines: expected questions, got none");
  item.task = item.questions.front().at("task").as_string();
  return item;
}

Examiner::Examiner(Stages stages, std::string model)
    : stages_(std::move(stages)), model_(std::move(model)) {}

Json::Array Examiner::answers(const DrawnItem& item, const std::vector<double>& keeps) const {
  Stages stages = stages_;
  stages.encode = [encode = std::make_shared<const RememberedEncode>(stages_.encode({}))](
                      const std::vector<CompressionSpec>&) { return encode; };
  Exam exam(item, stages, model_);
  const Json::Array& questions = item.questions;
  std::vector<std::vector<Answering>> all(keeps.size());
  for (size_t k = 0; k < keeps.size(); ++k) all[k].push_back(exam.begin(questions[0], keeps[k]));
  for (size_t k = 0; k < keeps.size(); ++k) {
    all[k][0].more();  // its prompt was read, so that the others read only what differs
    for (size_t i = 1; i < questions.size(); ++i) {
      all[k].push_back(exam.begin(questions[i], keeps[k]));
    }
  }
  Json::Array answers;
  for (size_t k = 0; k < keeps.size(); ++k) {
    for (size_t i = 0; i < questions.size(); ++i) {
      while (all[k][i].more()) {
      }
      answers.push_back(questions[i]);
      answers.back().set("keep", keeps[k]);
      answers.back().set("text", all[k][i].text);
      answers.back().set("box", exam.box_of(all[k][i]));
    }
  }
  return answers;
}

}  // namespace lv::services
