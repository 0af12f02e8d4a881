#include "services/tasks/result.h"

#include <sys/resource.h>

#include <cmath>

namespace lv::services {
namespace {

/// Times in results are rounded to the millisecond, shares and boxes to four digits.
double rounded(double value, double steps) { return std::round(value * steps) / steps; }
Json seconds(double value) { return rounded(value, 1e3); }
Json milliseconds(double value) { return rounded(value, 1e2); }
Json share(double value) { return rounded(value, 1e4); }

template <class Timed>
Json timed(const Timed& item) {
  Json out;
  out.set("start", seconds(item.start_seconds));
  out.set("end", seconds(item.end_seconds));
  out.set("text", item.text);
  return out;
}

template <class Items, class Write>
Json array_of(const Items& items, Write write) {
  Json out = Json::Array();
  for (const auto& item : items) out.push_back(write(item));
  return out;
}

Json source_json(const SourceReport& source) {
  Json out;
  out.set("path", source.path);
  out.set("kind", name_of(source.media.kind));
  if (source.media.duration_seconds > 0) {
    out.set("duration_seconds", seconds(source.media.duration_seconds));
  }
  if (source.media.width > 0) {
    out.set("width", static_cast<int64_t>(source.media.width));
    out.set("height", static_cast<int64_t>(source.media.height));
  }
  if (source.pages > 0) out.set("pages", static_cast<int64_t>(source.pages));
  return out;
}

Json screen_text_json(const vision::ScreenText& item) {
  Json out = timed(item);
  out.set("box", array_of(item.box, [](double edge) { return share(edge); }));
  return out;
}

Json evidence_json(const Evidence& evidence) {
  Json out;
  out.set("source", static_cast<int64_t>(evidence.source));
  out.set("kind", name_of(evidence.kind));
  if (evidence.start_seconds) out.set("start", seconds(*evidence.start_seconds));
  if (evidence.end_seconds) out.set("end", seconds(*evidence.end_seconds));
  if (evidence.page) out.set("page", static_cast<int64_t>(*evidence.page));
  if (evidence.box) {
    out.set("box", array_of(*evidence.box, [](double edge) { return share(edge); }));
  }
  if (!evidence.quote.empty()) out.set("quote", evidence.quote);
  out.set("score", share(evidence.score));
  return out;
}

Json compression_json(const CompressionReport& report) {
  Json out;
  out.set("method", report.method);
  out.set("keep", share(report.keep));
  out.set("tokens_in", report.tokens_in);
  out.set("tokens_out", report.tokens_out);
  out.set("fidelity", share(report.fidelity));
  out.set("ms", milliseconds(report.milliseconds));
  return out;
}

/// What does not apply is absent.
Json risk_json(const Risk& risk) {
  Json out;
  const auto set = [&out](const char* key, const std::string& text) {
    if (!text.empty()) out.set(key, text);
  };
  set("level", risk.level);
  set("object", risk.object);
  set("view", risk.view);
  if (risk.box) out.set("box", array_of(*risk.box, [](double edge) { return share(edge); }));
  if (risk.start_seconds) out.set("start", seconds(*risk.start_seconds));
  if (risk.end_seconds) out.set("end", seconds(*risk.end_seconds));
  set("reason", risk.reason);
  set("advice", risk.advice);
  if (risk.confidence) out.set("confidence", share(*risk.confidence));
  return out;
}

Json tokens_json(const TokenCounts& tokens) {
  Json out;
  out.set("prompt", tokens.prompt);
  out.set("visual_in", tokens.visual_in);
  out.set("visual_out", tokens.visual_out);
  out.set("cached", tokens.cached);
  out.set("generated", tokens.generated);
  return out;
}

Json times_json(const StageTimes& times) {
  Json out;
  out.set("decode", milliseconds(times.decode));
  out.set("listen", milliseconds(times.listen));
  out.set("encode", milliseconds(times.encode));
  out.set("compress", milliseconds(times.compress));
  out.set("generate", milliseconds(times.generate));
  out.set("total", milliseconds(times.total));
  out.set("load", milliseconds(times.load));
  return out;
}

}  // namespace

std::string_view name_of(AudioUse use) {
  switch (use) {
    case AudioUse::kUsed:
      return "used";
    case AudioUse::kAbsent:
      return "absent";
    case AudioUse::kUndecodable:
      return "undecodable";
    case AudioUse::kDisabled:
      return "disabled";
  }
  return "disabled";
}

std::string_view name_of(MediaKind kind) {
  switch (kind) {
    case MediaKind::kVideo:
      return "video";
    case MediaKind::kPicture:
      return "picture";
    case MediaKind::kAudio:
      return "audio";
    case MediaKind::kDocument:
      return "document";
    case MediaKind::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view name_of(EvidenceKind kind) {
  switch (kind) {
    case EvidenceKind::kTime:
      return "time";
    case EvidenceKind::kPage:
      return "page";
    case EvidenceKind::kBox:
      return "box";
    case EvidenceKind::kQuote:
      return "quote";
  }
  return "quote";
}

Json to_json(const TaskResult& result) {
  Json out;
  out.set("task", result.task);
  out.set("model", result.model);
  out.set("text", result.text);
  out.set("sources", array_of(result.sources, source_json));
  const bool asked = result.task == "ask", looked = !result.sampling.empty();
  if (looked && !asked) out.set("segments", array_of(result.segments, timed<Segment>));
  out.set("transcript", array_of(result.transcript, timed<SpeechSegment>));
  if (!result.language.empty()) out.set("language", result.language);
  out.set("audio", name_of(result.audio));
  if (looked) {
    out.set("screen_text", array_of(result.screen_text, screen_text_json));
    out.set("sampling", array_of(result.sampling, [](const SampledFrame& frame) {
              Json item;
              item.set("source", static_cast<int64_t>(frame.source));
              item.set("pts", frame.pts_seconds);
              return item;
            }));
  }
  if (asked || result.task == "risk") out.set("evidence", array_of(result.evidence, evidence_json));
  if (looked || asked) {
    out.set("compression", array_of(result.compression, compression_json));
    out.set("tokens", tokens_json(result.tokens));
  }
  if (result.risk) out.set("risk", risk_json(*result.risk));
  out.set("timing_ms", times_json(result.times));
  out.set("peak_memory_bytes", result.peak_memory_bytes);
  out.set("warnings",
          array_of(result.warnings, [](const std::string& text) { return Json(text); }));
  return out;
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace lv::services
