#include "services/tasks/result_codec.h"

#include "longview/v1/caption.pb.h"
#include "services/codec/codec.h"
#include "services/codec/utf8.h"

namespace lv::services {
namespace {

template <class Timed>
void timed_to_proto(const Timed& item, v1::TimedText* message) {
  message->set_start_seconds(item.start_seconds);
  message->set_end_seconds(item.end_seconds);
  message->set_text(valid_utf8(item.text));
}

template <class Timed>
Timed timed_from_proto(const v1::TimedText& message) {
  Timed item;
  item.start_seconds = message.start_seconds();
  item.end_seconds = message.end_seconds();
  item.text = message.text();
  return item;
}

v1::AudioUse to_proto(AudioUse use) {
  switch (use) {
    case AudioUse::kUsed:
      return v1::AUDIO_USE_USED;
    case AudioUse::kAbsent:
      return v1::AUDIO_USE_ABSENT;
    case AudioUse::kUndecodable:
      return v1::AUDIO_USE_UNDECODABLE;
    case AudioUse::kDisabled:
      return v1::AUDIO_USE_DISABLED;
  }
  return v1::AUDIO_USE_UNSPECIFIED;
}

AudioUse from_proto(v1::AudioUse use) {
  switch (use) {
    case v1::AUDIO_USE_USED:
      return AudioUse::kUsed;
    case v1::AUDIO_USE_ABSENT:
      return AudioUse::kAbsent;
    case v1::AUDIO_USE_UNDECODABLE:
      return AudioUse::kUndecodable;
    default:
      return AudioUse::kDisabled;
  }
}

void box_to_proto(const std::array<float, 4>& box, v1::Box* message) {
  message->set_x0(box[0]);
  message->set_y0(box[1]);
  message->set_x1(box[2]);
  message->set_y1(box[3]);
}

std::array<float, 4> from_proto(const v1::Box& message) {
  return {message.x0(), message.y0(), message.x1(), message.y1()};
}

v1::EvidenceKind to_proto(EvidenceKind kind) {
  switch (kind) {
    case EvidenceKind::kTime:
      return v1::EVIDENCE_KIND_TIME;
    case EvidenceKind::kPage:
      return v1::EVIDENCE_KIND_PAGE;
    case EvidenceKind::kBox:
      return v1::EVIDENCE_KIND_BOX;
    case EvidenceKind::kQuote:
      return v1::EVIDENCE_KIND_QUOTE;
  }
  return v1::EVIDENCE_KIND_UNSPECIFIED;
}

EvidenceKind from_proto(v1::EvidenceKind kind) {
  switch (kind) {
    case v1::EVIDENCE_KIND_TIME:
      return EvidenceKind::kTime;
    case v1::EVIDENCE_KIND_PAGE:
      return EvidenceKind::kPage;
    case v1::EVIDENCE_KIND_BOX:
      return EvidenceKind::kBox;
    default:
      return EvidenceKind::kQuote;
  }
}

void to_proto(const Evidence& evidence, v1::Evidence* message) {
  message->set_source(evidence.source);
  message->set_kind(to_proto(evidence.kind));
  if (evidence.start_seconds) message->set_start_seconds(*evidence.start_seconds);
  if (evidence.end_seconds) message->set_end_seconds(*evidence.end_seconds);
  if (evidence.page) message->set_page(*evidence.page);
  if (evidence.box) box_to_proto(*evidence.box, message->mutable_box());
  if (!evidence.quote.empty()) message->set_quote(valid_utf8(evidence.quote));
  message->set_score(evidence.score);
}

Evidence from_proto(const v1::Evidence& message) {
  Evidence evidence;
  evidence.source = message.source();
  evidence.kind = from_proto(message.kind());
  if (message.has_start_seconds()) evidence.start_seconds = message.start_seconds();
  if (message.has_end_seconds()) evidence.end_seconds = message.end_seconds();
  if (message.has_page()) evidence.page = message.page();
  if (message.has_box()) evidence.box = from_proto(message.box());
  evidence.quote = message.quote();
  evidence.score = message.score();
  return evidence;
}

void to_proto(const TokenCounts& tokens, v1::TokenCounts* message) {
  message->set_prompt(tokens.prompt);
  message->set_visual_in(tokens.visual_in);
  message->set_visual_out(tokens.visual_out);
  message->set_cached(tokens.cached);
  message->set_generated(tokens.generated);
}

TokenCounts from_proto(const v1::TokenCounts& message) {
  return {message.prompt(), message.visual_in(), message.visual_out(), message.cached(),
          message.generated()};
}

void to_proto(const StageTimes& times, v1::StageTimes* message) {
  message->set_decode_ms(times.decode);
  message->set_listen_ms(times.listen);
  message->set_encode_ms(times.encode);
  message->set_compress_ms(times.compress);
  message->set_generate_ms(times.generate);
  message->set_total_ms(times.total);
  message->set_load_ms(times.load);
}

StageTimes from_proto(const v1::StageTimes& message) {
  StageTimes times;
  times.decode = message.decode_ms();
  times.listen = message.listen_ms();
  times.encode = message.encode_ms();
  times.compress = message.compress_ms();
  times.generate = message.generate_ms();
  times.total = message.total_ms();
  times.load = message.load_ms();
  return times;
}

void to_proto(const Risk& risk, v1::Risk* message) {
  message->set_level(valid_utf8(risk.level));
  message->set_object(valid_utf8(risk.object));
  message->set_view(valid_utf8(risk.view));
  if (risk.start_seconds) message->set_start_seconds(*risk.start_seconds);
  if (risk.end_seconds) message->set_end_seconds(*risk.end_seconds);
  message->set_reason(valid_utf8(risk.reason));
  message->set_advice(valid_utf8(risk.advice));
  if (risk.box) box_to_proto(*risk.box, message->mutable_box());
  if (risk.confidence) message->set_confidence(*risk.confidence);
}

Risk from_proto(const v1::Risk& message) {
  Risk risk{message.level(),  message.object(), message.view(), {}, {},
            message.reason(), message.advice()};
  if (message.has_start_seconds()) risk.start_seconds = message.start_seconds();
  if (message.has_end_seconds()) risk.end_seconds = message.end_seconds();
  if (message.has_box()) risk.box = from_proto(message.box());
  if (message.has_confidence()) risk.confidence = message.confidence();
  return risk;
}

}  // namespace

void to_proto(const TaskResult& result, v1::CaptionResult* message) {
  message->Clear();
  message->set_task(result.task);
  message->set_model(result.model);
  message->set_text(valid_utf8(result.text));
  for (const SourceReport& source : result.sources) {
    v1::MediaSource* out = message->add_sources();
    out->set_path(valid_utf8(source.path));
    to_proto(source.media, out->mutable_media());
    out->set_pages(source.pages);
  }
  for (const Segment& segment : result.segments) timed_to_proto(segment, message->add_segments());
  for (const SpeechSegment& speech : result.transcript)
    timed_to_proto(speech, message->add_transcript());
  message->set_language(result.language);
  message->set_audio(to_proto(result.audio));
  for (const vision::ScreenText& text : result.screen_text) {
    v1::TimedText* out = message->add_screen_text();
    timed_to_proto(text, out);
    box_to_proto(text.box, out->mutable_box());
  }
  for (const Evidence& evidence : result.evidence) to_proto(evidence, message->add_evidence());
  if (result.risk) to_proto(*result.risk, message->mutable_risk());
  for (const SampledFrame& frame : result.sampling) {
    v1::SampledFrame* out = message->add_sampling();
    out->set_source(frame.source);
    out->set_pts_seconds(frame.pts_seconds);
  }
  for (const CompressionReport& report : result.compression)
    to_proto(report, message->add_compression());
  to_proto(result.tokens, message->mutable_tokens());
  to_proto(result.times, message->mutable_timing());
  message->set_peak_memory_bytes(result.peak_memory_bytes);
  for (const std::string& warning : result.warnings) message->add_warnings(valid_utf8(warning));
}

TaskResult from_proto(const v1::CaptionResult& message) {
  TaskResult result;
  result.task = message.task();
  result.model = message.model();
  result.text = message.text();
  for (const v1::MediaSource& source : message.sources()) {
    result.sources.push_back({source.path(), from_proto(source.media()), source.pages()});
  }
  for (const v1::TimedText& item : message.segments()) {
    result.segments.push_back(timed_from_proto<Segment>(item));
  }
  for (const v1::TimedText& item : message.transcript()) {
    result.transcript.push_back(timed_from_proto<SpeechSegment>(item));
  }
  result.language = message.language();
  result.audio = from_proto(message.audio());
  for (const v1::TimedText& item : message.screen_text()) {
    auto text = timed_from_proto<vision::ScreenText>(item);
    text.box = from_proto(item.box());
    result.screen_text.push_back(std::move(text));
  }
  for (const v1::Evidence& evidence : message.evidence()) {
    result.evidence.push_back(from_proto(evidence));
  }
  if (message.has_risk()) result.risk = from_proto(message.risk());
  for (const v1::SampledFrame& frame : message.sampling()) {
    result.sampling.push_back({frame.source(), frame.pts_seconds()});
  }
  for (const v1::CompressionReport& report : message.compression()) {
    result.compression.push_back(from_proto(report));
  }
  result.tokens = from_proto(message.tokens());
  result.times = from_proto(message.timing());
  result.peak_memory_bytes = message.peak_memory_bytes();
  result.warnings.assign(message.warnings().begin(), message.warnings().end());
  return result;
}

}  // namespace lv::services
