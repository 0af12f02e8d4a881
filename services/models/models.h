#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/plan/layer_plan.h"
#include "pipeline/weights/placement.h"
#include "services/stages.h"
#include "vision/read/text_reader.h"

namespace lv::services {

/// A model, or a part of one, that is known by name.
struct ModelCard {
  std::string name;
  std::string what;
  std::string license;
  int64_t bytes = 0;                 // on disk
  std::vector<std::string> missing;  // files that are not there
};
std::vector<ModelCard> known_models();

/// Whether `model` is the default one, and eyes that were trained for it are there: then it answers
/// in the recipe's words, of a length of their own.
bool is_nano_that_sees(const std::string& model);

/// Where the language model of a known name, a folder or a GGUF file lies. Throws kNotFound.
std::string language_checkpoint(const std::string& model);

/// A clip that comes with Longview. Throws kNotFound if it was not fetched.
std::string sample_clip();

struct WorkplaceOptions {
  /// A known name, or a folder or GGUF file of a language model, or of one that sees. A language
  /// model alone gets the eyes of nano.
  std::string model = "nano";
  std::string projector;  // of a GGUF language model's eyes, as open_checkpoint() takes it
  std::string eyes;       // of nano: a file that its recipe trained, instead of the shipped one
  /// Of language models and of the eyes that belong to one; nano's own eyes and ears compute in
  /// float32 on the CPU.
  Placement placement;
  llm::LayerPlan plan;                          // of the language model
  std::map<std::string, std::string> upstream;  // stage -> host:port of those that run elsewhere
  std::vector<std::string> stages;              // those that are needed, of stage_names()
  std::chrono::milliseconds deadline{0};        // of a call to another machine; 0 is none
  bool read = false;                            // whether text in pictures is to be recognised
};

/// Everything that a task stands on.
struct Workplace {
  std::string model;                                 // as results name it
  std::string speech_model;                          // likewise
  Stages stages;                                     // those asked for; the others are null
  std::shared_ptr<const vision::TextReader> reader;  // null unless asked for
};

/// Loads what runs here and connects to what runs elsewhere. Adds the milliseconds that it took to
/// `load_ms`. Throws kNotFound for a model that is not there, kInvalidArgument for a stage name
/// that does not exist.
Workplace open_workplace(const WorkplaceOptions& options, double& load_ms);

}  // namespace lv::services
