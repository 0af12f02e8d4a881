#include "services/models/check_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "llm/models/models.h"
#include "llm/template/chat_template.h"
#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/mapped_store.h"
#include "pipeline/weights/model_parts.h"
#include "vision/compressors/trained.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/image_encoder.h"
#include "vision/encoders/load_eyes.h"

namespace lv::services {
namespace {

/// Why `work` fails, or nothing.
std::string problem_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const Error& problem) {
    return problem.what();
  } catch (const c10::Error& problem) {
    return problem.what_without_backtrace();
  }
}

int64_t parameters_of(const TensorStore& tensors) {
  int64_t count = 0;
  for (const std::string& name : tensors.names()) {
    const std::vector<int64_t> shape = tensors.shape(name);
    count += c10::multiply_integers(shape);
  }
  return count;
}

/// Builds one network and notes what it lacks.
PartReport network(const std::string& part, const std::function<Checkpoint()>& take,
                   const std::function<void(const Checkpoint&)>& build) {
  PartReport report;
  report.part = part;
  std::optional<Checkpoint> taken;
  report.problem = problem_of([&] {
    taken = take();
    report.architecture = taken->architecture();
    report.parameters = parameters_of(taken->tensors());
    build(*taken);
  });
  if (taken) report.misfit = taken->misfit();
  return report;
}

PartReport file(const std::string& part, const std::function<void()>& load) {
  PartReport report;
  report.part = part;
  report.problem = problem_of(load);
  return report;
}

/// Bytes of the weights where dense ones become `dtype`, or stay as they are for none.
int64_t weight_bytes(const TensorStore& tensors, std::optional<at::ScalarType> dtype) {
  int64_t total = 0;
  for (const std::string& name : tensors.names()) {
    const ElementType type = tensors.type(name);
    const bool dense = std::holds_alternative<at::ScalarType>(type);
    const ElementType kept = dense && dtype ? ElementType(*dtype) : type;
    total += static_cast<int64_t>(stored_bytes(kept, tensors.shape(name)).value_or(0));
  }
  return total;
}

void add_memory(const Checkpoint& checkpoint, const llm::ModelShape& shape, ModelReport& report) {
  const int64_t numbers = 2 * shape.layers * shape.kv_heads * shape.head_size;
  const auto need = [&](const char* name, std::optional<at::ScalarType> dtype,
                        at::ScalarType computed) {
    report.memory.push_back({name, weight_bytes(checkpoint.tensors(), dtype),
                             numbers * static_cast<int64_t>(at::elementSize(computed))});
  };
  const Computing usual = checkpoint.placed({at::kCPU, std::nullopt}).computing();
  need("auto", usual.as_stored ? std::nullopt : std::optional(usual.dtype), usual.dtype);
  need("float32", at::kFloat, at::kFloat);
  need("bfloat16", at::kBFloat16, at::kBFloat16);
}

void check_eyes(const Checkpoint& outline, ModelReport& report) {
  int64_t width = 0;
  report.parts.push_back(network(
      "image encoder", [&] { return vision_part(outline); },
      [&](const Checkpoint& part) { width = vision::make_image_encoder(part)->width(); }));
  if (has_compressor(outline)) {
    report.parts.push_back(network(
        "compressor", [&] { return compressor_part(outline); },
        [](const Checkpoint& part) { vision::make_trained_compressor(part); }));
  }
  if (width == 0) return;
  report.parts.push_back(network(
      "connector", [&] { return connector_part(outline); },
      [&](const Checkpoint& part) { vision::make_connector_parts(part, width); }));
  // With both networks in order, what is left of the eyes is their processor.
  if (report.parts.back().problem.empty()) {
    report.parts.push_back(file("image processor", [&] { vision::load_eyes(outline); }));
  }
}

void check_text(const Checkpoint& outline, ModelReport& report) {
  std::optional<llm::ModelShape> shape;
  report.parts.push_back(network(
      "language model", [&] { return text_part(outline); },
      [&](const Checkpoint& part) { shape = llm::make_model(part)->shape(); }));
  if (shape) {
    report.context_tokens = shape->max_positions;
    add_memory(outline, *shape, report);
  }
  report.parts.push_back(file("tokenizer", [&] { llm::load_tokenizer(outline); }));
  report.parts.push_back(file("chat template", [&] {
    if (!llm::load_chat_template(outline)) {
      report.notes.emplace_back("no chat template: messages are read one after another");
    }
  }));
}

}  // namespace

bool ModelReport::loads() const {
  return std::ranges::all_of(parts, [](const PartReport& part) { return part.problem.empty(); });
}

ModelReport check_model(const std::string& path, const std::string& projector) {
  ModelReport report;
  report.path = path;
  std::optional<Checkpoint> opened;
  const PartReport files = file("files", [&] {
    opened = open_checkpoint(path, {}, projector);
    report.architecture = opened->architecture();
  });
  if (!files.problem.empty()) {
    report.parts.push_back(files);
    return report;
  }
  const Checkpoint& checkpoint = *opened;
  const Checkpoint outline = checkpoint.outline();
  report.family = checkpoint.config().get("model_type", "");
  report.parameters = parameters_of(checkpoint.tensors());
  report.disk_bytes = stored_bytes_of(checkpoint.tensors()).total();
  const bool encoder_alone = vision::encoders().contains(report.architecture);
  if (encoder_alone) {
    report.parts.push_back(network(
        "image encoder", [&] { return outline; },
        [](const Checkpoint& part) { vision::make_image_encoder(part); }));
    return report;
  }
  check_text(outline, report);
  if (has_vision(checkpoint)) check_eyes(outline, report);
  return report;
}

}  // namespace lv::services
