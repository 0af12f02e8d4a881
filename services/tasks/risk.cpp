#include "services/tasks/risk.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/camera_views.h"
#include "vision/decode/decode.h"

namespace lv::services {
namespace {

constexpr const char* kAssess = "Assess the risk.";
constexpr int64_t kMostTokens = 256;  // more than the grammar allows
constexpr int64_t kMostParts = 12;
constexpr double kMostApart = 0.5;  // seconds that lengths of views may differ
constexpr int64_t kBlack = 16;      // of 255: pictures no brighter than this show nothing
constexpr int64_t kStill = 1;       // of 255: what lossy films change where nothing moves

/// Parts as long, and with as many pictures of each view, as models learnt from.
struct Pace {
  double seconds;
  int64_t pictures;
};
Pace pace_of(size_t views) { return views == 1 ? Pace{3.5, 8} : Pace{2.4, 4}; }

struct Level {
  const char* name;
  const char* advice;
};
constexpr std::array<Level, 3> kLevels{
    {{"low", "keep going"}, {"medium", "slow down"}, {"high", "brake now"}}};

size_t rank_of(const std::string& level) {
  const auto found = std::ranges::find(kLevels, level, &Level::name);
  return static_cast<size_t>(found - kLevels.begin());
}

/// What was seen of a camera.
struct Seen {
  int64_t pictures = 0;
  int64_t brightest = 0;
  int64_t most_change = 0;  // from the first picture to another
  at::Tensor first;
};

/// Hands frames on and notes what they show.
class Watched : public Source<FrameBatch> {
 public:
  Watched(SourcePtr<FrameBatch> inner, Seen& seen) : inner_(std::move(inner)), seen_(seen) {}

  std::optional<FrameBatch> next() override {
    std::optional<FrameBatch> batch = inner_->next();
    if (!batch) return batch;
    for (const at::Tensor& picture : batch->pixels.unbind()) note(picture);
    return batch;
  }

 private:
  void note(const at::Tensor& picture) {
    ++seen_.pictures;
    seen_.brightest = std::max<int64_t>(seen_.brightest, picture.max().item<uint8_t>());
    if (!seen_.first.defined()) seen_.first = picture.to(at::kShort);
    if (seen_.first.sizes() != picture.sizes()) return;
    const at::Tensor change = (picture.to(at::kShort) - seen_.first).abs().max();
    seen_.most_change = std::max<int64_t>(seen_.most_change, change.item<int16_t>());
  }

  SourcePtr<FrameBatch> inner_;
  Seen& seen_;
};

/// Decoding that notes what each camera shows.
class WatchedDecode : public Stage<MediaRequest, FrameBatch> {
 public:
  WatchedDecode(StagePtr<MediaRequest, FrameBatch> inner, std::map<std::string, Seen>& seen)
      : inner_(std::move(inner)), seen_(seen) {}

  SourcePtr<FrameBatch> start(SourcePtr<MediaRequest> input) const override {
    std::optional<MediaRequest> request = input->next();
    check(request.has_value(), ErrorCode::kInternal, "risk: expected a file to decode, got none");
    Seen& seen = seen_[request->view];
    return std::make_unique<Watched>(inner_->start(source_of_one(std::move(*request))), seen);
  }

 private:
  StagePtr<MediaRequest, FrameBatch> inner_;
  std::map<std::string, Seen>& seen_;
};

/// The views in the order in which models know them, and what the user calls each.
struct Rig {
  std::vector<MediaRequest> views;
  std::map<std::string, std::string> called;
};

Rig rig_of(const RiskRequest& request) {
  check(!request.views.empty(), ErrorCode::kInvalidArgument,
        "risk: expected at least one view, got none");
  Rig rig;
  for (const std::string& view : camera_views()) {
    for (const MediaRequest& given : request.views) {
      if (camera_view(given.view) != view) continue;
      check(rig.called.emplace(view, given.view).second, ErrorCode::kInvalidArgument,
            "view " + view + ": expected one film, got two");
      rig.views.push_back(given);
      rig.views.back().view = view;
    }
  }
  return rig;
}

/// The seconds that all films show: [start, end). No end where all are pictures, or films whose
/// files do not tell how long they are.
struct Span {
  double start = 0;
  std::optional<double> end;
};

Span common_span(const Rig& rig, std::vector<std::string>& warnings) {
  Span span;
  double longest = 0;
  for (const MediaRequest& view : rig.views) {
    span.start = std::max(span.start, view.sampling.start_seconds);
    const MediaInfo media = vision::probe_media(view);
    const double end = view.sampling.end_seconds.value_or(media.duration_seconds);
    if (media.kind != MediaKind::kVideo || end <= 0) continue;
    span.end = std::min(span.end.value_or(end), end);
    longest = std::max(longest, end);
  }
  if (span.end && longest - *span.end > kMostApart) {
    char text[96];
    std::snprintf(text, sizeof text, "views differ in length: judged up to %.1f of %.1f seconds",
                  *span.end, longest);
    warnings.emplace_back(text);
  }
  return span;
}

/// Parts of about so many seconds, longer ones where they would be too many.
std::vector<Span> parts_of(const Span& span, double seconds) {
  if (!span.end || *span.end <= span.start) return {span};
  const double length = *span.end - span.start;
  const int64_t count = std::clamp<int64_t>(std::llround(length / seconds), 1, kMostParts);
  std::vector<Span> parts;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = [&](int64_t k) {
      return span.start + length * static_cast<double>(k) / static_cast<double>(count);
    };
    parts.push_back({at(i), at(i + 1)});
  }
  return parts;
}

/// Says what is odd about the cameras. Throws if none shows anything.
void judge_cameras(const Rig& rig, const std::map<std::string, Seen>& seen,
                   std::vector<std::string>& warnings) {
  size_t black = 0;
  for (const MediaRequest& view : rig.views) {
    const Seen& camera = seen.at(view.view);
    const std::string& name = rig.called.at(view.view);
    if (camera.brightest <= kBlack) {
      ++black;
      warnings.push_back("view " + name + ": black, so that nothing is seen there");
    } else if (camera.pictures == 1) {
      warnings.push_back("view " + name + ": one picture, so that no motion is seen");
    } else if (camera.most_change <= kStill) {
      warnings.push_back("view " + name + ": nothing changes, the camera may be frozen");
    }
  }
  check(black < rig.views.size(), ErrorCode::kFailedPrecondition,
        "risk: expected a view that shows something, got black pictures alone");
}

/// Adds what a part took and saw to the whole.
void add(TaskResult& whole, TaskResult part) {
  if (whole.sources.empty()) whole.sources = part.sources;
  whole.sampling.insert(whole.sampling.end(), part.sampling.begin(), part.sampling.end());
  whole.compression.insert(whole.compression.end(), part.compression.begin(),
                           part.compression.end());
  for (std::string& warning : part.warnings) {
    if (std::ranges::find(whole.warnings, warning) == whole.warnings.end()) {
      whole.warnings.push_back(std::move(warning));
    }
  }
  for (int64_t TokenCounts::*field :
       {&TokenCounts::prompt, &TokenCounts::visual_in, &TokenCounts::visual_out,
        &TokenCounts::cached, &TokenCounts::generated}) {
    whole.tokens.*field += part.tokens.*field;
  }
  for (double StageTimes::*field : {&StageTimes::decode, &StageTimes::encode, &StageTimes::compress,
                                    &StageTimes::generate, &StageTimes::total}) {
    whole.times.*field += part.times.*field;
  }
  whole.peak_memory_bytes = std::max(whole.peak_memory_bytes, part.peak_memory_bytes);
}

CaptionRequest request_for(const RiskRequest& request, const Rig& rig, const Span& part) {
  CaptionRequest asked;
  asked.sources = rig.views;
  std::vector<std::string> views;
  for (MediaRequest& source : asked.sources) {
    views.push_back(source.view);
    source.sampling.start_seconds = part.start;
    source.sampling.end_seconds = part.end;
    const bool usual = std::holds_alternative<UsualFrames>(source.sampling.rule);
    if (usual) source.sampling.rule = UniformFrames{pace_of(rig.views.size()).pictures};
  }
  asked.prompt = request.question.empty() ? kAssess : request.question;
  asked.options.max_tokens = kMostTokens;
  if (request.question.empty()) {
    asked.options.grammar = risk_grammar(views);
    asked.point = true;
  }
  asked.compression = request.compression;
  asked.listen = asked.read = asked.segments = false;
  return asked;
}

/// Tells `whole` of a part's progress: that a part is done is not the end.
TaskObserver of_part(const TaskObserver& whole) {
  TaskObserver part = whole;
  if (whole.progress) {
    part.progress = [&whole](std::string_view stage, double share) {
      if (stage != "done") whole.progress(stage, share);
    };
  }
  return part;
}

std::string capital(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

/// The assessment in sentences.
std::string told(const Risk& risk) {
  return capital(risk.level) + " risk" + (risk.view.empty() ? "" : " in view " + risk.view) + ": " +
         risk.reason + ". " + capital(risk.advice) + ".";
}

}  // namespace

std::string risk_grammar(const std::vector<std::string>& views) {
  std::string view = "\"none\"";
  for (const std::string& each : views) view += " | \"" + each + "\"";
  std::string root;
  for (const Level& level : kLevels) {
    root += std::string(root.empty() ? "" : " | ") + "\"level: " + level.name +
            "; object: \" text \"; view: \" view \"; reason: \" text \"; advice: " + level.advice +
            "\"";
  }
  return "root ::= " + root + "\nview ::= " + view +
         "\ntext ::= [a-zA-Z0-9.] [a-zA-Z0-9 .,'-]{0,99}\n";
}

Risk read_assessment(const std::string& line) {
  std::map<std::string, std::string, std::less<>> parts;
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find("; ", at), line.size());
    const std::string part = line.substr(at, end - at);
    const size_t colon = part.find(": ");
    if (colon != std::string::npos) parts[part.substr(0, colon)] = part.substr(colon + 2);
    at = end + 2;
  }
  const auto said = [&parts](const char* key) {
    const std::string& text = parts[key];
    return text == "none" ? std::string() : text;
  };
  Risk risk{said("level"), said("object"), said("view"), {}, {}, parts["reason"], said("advice")};
  check(rank_of(risk.level) < kLevels.size() && !risk.reason.empty() && !risk.advice.empty(),
        ErrorCode::kInternal, "risk: expected an assessment, got '" + line.substr(0, 200) + "'");
  return risk;
}

RiskAssessor::RiskAssessor(Stages stages, std::string model)
    : stages_(std::move(stages)), model_(std::move(model)) {}

TaskResult RiskAssessor::assess(const RiskRequest& request, const TaskObserver& observer) const {
  const Rig rig = rig_of(request);
  TaskResult whole;
  whole.task = "risk";
  whole.model = model_;
  const bool assesses = request.question.empty();
  const Span span = common_span(rig, whole.warnings);
  const std::vector<Span> parts =
      assesses ? parts_of(span, pace_of(rig.views.size()).seconds) : std::vector{span};
  std::map<std::string, Seen> seen;
  Stages watched = stages_;
  watched.decode_video = std::make_shared<const WatchedDecode>(stages_.decode_video, seen);
  const Captioner captioner(std::move(watched), nullptr, model_);
  for (const Span& part : parts) {
    TaskResult answer = captioner.caption(request_for(request, rig, part), of_part(observer));
    const double end = part.end.value_or(part.start);
    if (assesses) {
      Risk risk = read_assessment(answer.text);
      if (!risk.view.empty()) risk.view = rig.called.at(risk.view);
      if (part.end) {
        risk.start_seconds = part.start;
        risk.end_seconds = part.end;
      }
      if (!answer.evidence.empty()) {
        risk.box = answer.evidence.front().box;
        risk.confidence = answer.evidence.front().score;
      }
      answer.text = told(risk);
      if (!whole.risk || rank_of(risk.level) > rank_of(whole.risk->level)) {
        whole.text = answer.text;
        whole.risk = std::move(risk);
        whole.evidence = answer.evidence;
      }
    } else {
      whole.text = answer.text;
    }
    whole.segments.push_back({part.start, end, answer.text});
    add(whole, std::move(answer));
  }
  judge_cameras(rig, seen, whole.warnings);
  if (observer.progress) observer.progress("done", 1);
  return whole;
}

}  // namespace lv::services
