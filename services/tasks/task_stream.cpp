#include "services/tasks/task_stream.h"

#include <map>

#include "pipeline/base/cancellation.h"
#include "services/rpc/status.h"
#include "services/tasks/result_codec.h"

namespace lv::services {
namespace {

/// Stages as the wire names them, by the names that observers are told.
const std::map<std::string_view, v1::PipelineStage>& stages_on_the_wire() {
  static const std::map<std::string_view, v1::PipelineStage> all = {
      {"decode", v1::PIPELINE_STAGE_DECODE},     {"listen", v1::PIPELINE_STAGE_LISTEN},
      {"encode", v1::PIPELINE_STAGE_ENCODE},     {"compress", v1::PIPELINE_STAGE_COMPRESS},
      {"generate", v1::PIPELINE_STAGE_GENERATE},
  };
  return all;
}

std::string_view name_of(v1::PipelineStage stage) {
  for (const auto& [name, value] : stages_on_the_wire()) {
    if (value == stage) return name;
  }
  return "";
}

}  // namespace

TaskObserver EventWriter::observer() const {
  TaskObserver observer;
  observer.progress = [this](std::string_view stage, double share) {
    v1::CaptionEvent event;
    const auto known = stages_on_the_wire().find(stage);
    if (known == stages_on_the_wire().end()) return;
    event.mutable_progress()->set_stage(known->second);
    event.mutable_progress()->set_done(share);
    event.mutable_progress()->set_total(1);
    write(event);
  };
  observer.text = [this](const std::string& text) {
    v1::CaptionEvent event;
    event.set_text(text);
    write(event);
  };
  return observer;
}

void EventWriter::result(const TaskResult& result) const {
  v1::CaptionEvent event;
  to_proto(result, event.mutable_result());
  write(event);
}

void EventWriter::write(const v1::CaptionEvent& event) const {
  check_cancelled();
  check(write_(event), ErrorCode::kCancelled, "the client stopped reading");
}

void check_generation(const GenerationOptions& options, const ServingLimits& limits) {
  check(options.max_tokens <= limits.max_generated_tokens, ErrorCode::kInvalidArgument,
        "max_tokens: expected at most " + std::to_string(limits.max_generated_tokens));
}

std::optional<TaskResult> read_events(const ReadMessage<v1::CaptionEvent>& read,
                                      const TaskObserver& observer) {
  std::optional<TaskResult> result;
  v1::CaptionEvent event;
  while (read(&event)) {
    if (event.has_progress() && observer.progress) {
      observer.progress(name_of(event.progress().stage()), event.progress().done());
    }
    if (event.event_case() == v1::CaptionEvent::kText && observer.text) observer.text(event.text());
    if (event.has_result()) result = from_proto(event.result());
  }
  return result;
}

void check_ended(const grpc::Status& status, const grpc::ClientContext& context,
                 const std::string& who, std::chrono::milliseconds deadline) {
  if (status.ok()) return;
  const bool stage_error = context.GetServerTrailingMetadata().contains(kStageErrorKey);
  throw to_error(status, stage_error, {who, deadline});
}

}  // namespace lv::services
