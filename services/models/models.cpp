#include "services/models/models.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

#include "audio/decode/decode.h"
#include "audio/transcribe/listen.h"
#include "llm/generate/generator.h"
#include "llm/generate/language_model.h"
#include "llm/template/picture_layout.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"
#include "services/models/home.h"
#include "services/models/nano.h"
#include "services/tasks/stage_clock.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/trained.h"
#include "vision/connectors/classwords.h"
#include "vision/decode/decode.h"
#include "vision/encoders/encode_stage.h"
#include "vision/encoders/image_encoder.h"
#include "vision/encoders/load_eyes.h"
#include "vision/preprocess/image_processor.h"

namespace lv::services {
namespace {

/// The parts of `nano`, below the folder of models.
constexpr const char* kLanguageModel = "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kSpeechModel = "whisper-tiny.en";
constexpr const char* kImageEncoder = "efficientnet-lite0";

/// What models/nano/recipe trained, and the classifier's class names, below the checkout.
constexpr const char* kTrained = "models/nano/nano.safetensors";
constexpr const char* kClassNames = "models/nano/imagenet_classes.txt";

/// The shares of tokens that nano was trained to do with are of a whole clip.
constexpr const char* kTrainedKeep = "0.5";

/// Many tokens that no training fitted to it lead a small language model astray; a tenth does not.
constexpr const char* kUntrainedKeep = "0.1";

constexpr size_t kMostMethods = 16;  // in one list
constexpr int64_t kFramesPerBatch = 8;

std::string model_path(const std::string& name) { return home() + "/.deps/models/" + name; }

/// Where `model` lies, or where nano's language model does: part of nano, or the user's own.
std::string checkpoint_path(const std::string& model) {
  if (model == "nano") return model_path(kLanguageModel);
  check(std::filesystem::exists(model), ErrorCode::kNotFound,
        "model '" + model + "': expected nano, a folder or a .gguf file that exists");
  return model;
}

std::vector<std::string> class_names() {
  return vision::read_class_names(home() + "/" + kClassNames);
}

/// The classifier of nano, joined to a language model by its own embeddings of the class names.
vision::EncodeParts borrowed_eyes(const llm::LanguageModel& language) {
  const Checkpoint checkpoint = open_checkpoint(model_path(kImageEncoder));
  vision::EncodeParts parts;
  parts.processor = vision::make_image_processor(checkpoint.config());
  parts.encoder = vision::make_image_encoder(checkpoint);
  parts.architecture = checkpoint.architecture();
  parts.class_names = class_names();
  parts.connector = std::make_shared<vision::ClassWords>(*parts.encoder->class_head(),
                                                         language.embed_texts(parts.class_names));
  return parts;
}

ModelCard card(const std::string& name, const std::string& what, const std::string& license,
               const std::vector<std::string>& files) {
  ModelCard card{name, what, license, 0, {}};
  for (const std::string& file : files) {
    std::error_code absent;
    const auto bytes = std::filesystem::file_size(model_path(file), absent);
    if (absent) {
      card.missing.push_back(model_path(file));
    } else {
      card.bytes += static_cast<int64_t>(bytes);
    }
  }
  return card;
}

/// The file of nano's eyes; empty for other models, and where it is not there.
std::string trained_eyes(const WorkplaceOptions& options) {
  if (options.model == "nano" && !options.eyes.empty()) return options.eyes;
  return is_nano_that_sees(options.model) ? home() + "/" + kTrained : "";
}

/// Opens the stages that run here.
class LocalStages {
 public:
  LocalStages(const WorkplaceOptions& options, Workplace& workplace)
      : model_(options.model),
        projector_(options.projector),
        trained_(trained_eyes(options)),
        placement_(options.placement),
        plan_(options.plan),
        workplace_(workplace) {}

  void open(const std::string& name) {
    Stages& stages = workplace_.stages;
    if (name == "decode") {
      const at::Device device = has_cuda_kernels() ? placement_.device : at::kCPU;
      stages.decode_video = vision::make_video_decode(kFramesPerBatch, device);
      stages.decode_audio = audio::make_audio_decode();
    } else if (name == "listen") {
      stages.listen = audio::make_listen(model_path(kSpeechModel));
    } else if (name == "encode") {
      stages.encode = make_encode();
      stages.trained_eyes = has_vision(checkpoint());
      if (has_vision(checkpoint())) stages.films.frames = vision::load_film_frames(checkpoint());
    } else if (name == "compress") {
      const vision::OwnCompressor own = own_compressor();
      stages.hears = own.hears;
      const bool clips = !trained_.empty();
      const vision::CompressorPtr usual = usual_compressor(own);
      stages.compress = [usual, own, clips](const std::vector<CompressionSpec>& specs) {
        return specs.empty() ? usual : compressor(specs, own, clips);
      };
    } else {
      stages.generate = llm::make_generate(language_model());
      stages.films.opening = llm::picture_layout(checkpoint().architecture()).film_opening;
    }
  }

 private:
  /// `merges_clips`: whether the model was trained with shares of whole clips.
  static vision::CompressorPtr compressor(const std::vector<CompressionSpec>& specs,
                                          const vision::OwnCompressor& own, bool merges_clips) {
    check(specs.size() <= kMostMethods, ErrorCode::kInvalidArgument,
          "compression: expected at most " + std::to_string(kMostMethods) + " methods, got " +
              std::to_string(specs.size()));
    std::vector<vision::CompressorPtr> methods;
    for (const CompressionSpec& spec : specs) {
      Params params(spec.params);
      // What merges between the encoder's layers merges before everything else.
      if (spec.method == "tome" && !methods.empty()) params.set_default("at", "tokens");
      if (spec.method == "tome" && merges_clips) params.set_default("over", "clip");
      methods.push_back(vision::make_compressor(spec.method, std::move(params), own));
    }
    if (methods.empty()) methods.push_back(vision::make_keep_all({}));
    return vision::make_chain(std::move(methods));
  }

  vision::OwnCompressor own_compressor() {
    if (model_ == "nano" && trained_.empty()) return {model_, {}, nullptr, false};
    return vision::load_own_compressor(checkpoint());
  }

  /// How the visual tokens of the model are compressed unless somebody asks otherwise: as it was
  /// trained, and so not at all where it was trained to read them.
  vision::CompressorPtr usual_compressor(const vision::OwnCompressor& own) {
    if (!trained_.empty()) {
      return vision::make_by_views(compressor({{"tome", {{"keep", kTrainedKeep}}}}, own, true),
                                   compressor({{own.name, {{"keep", kTrainedKeep}}}}, own, true));
    }
    if (own.compressor) return compressor({{own.name, {}}}, own, false);
    if (model_ != "nano" && has_vision(checkpoint())) return compressor({}, own, false);
    return compressor({{"tome", {{"keep", kUntrainedKeep}}}}, own, false);
  }

  MakeEncode make_encode() {
    const vision::EncodeParts parts = eyes();
    vision::make_encode(parts);  // says now what does not fit
    return [parts](const std::vector<CompressionSpec>& specs) {
      vision::EncodeOptions options;
      if (specs.empty()) {
        options.merging = parts.merging;
      } else if (specs.front().method == "tome") {
        options.merging =
            vision::merging_for(vision::TomeParams(Params(specs.front().params)), parts);
      }
      options.saliency = std::any_of(specs.begin(), specs.end(), [](const CompressionSpec& spec) {
        return vision::wants_saliency(spec.method);
      });
      return vision::make_encode(parts, options);
    };
  }

  /// The model's own eyes, or nano's classifier for a model that has none.
  vision::EncodeParts eyes() {
    if (!has_vision(checkpoint())) return borrowed_eyes(*language_model());
    vision::EncodeParts parts = vision::load_eyes(checkpoint());
    if (!trained_.empty()) parts.class_names = class_names();
    return parts;
  }

  const Checkpoint& checkpoint() {
    if (!checkpoint_) {
      checkpoint_ = trained_.empty()
                        ? open_checkpoint(checkpoint_path(model_), placement_, projector_)
                        : open_nano({model_path(kLanguageModel), model_path(kImageEncoder),
                                     open_safetensors(trained_), home() + "/" + kClassNames},
                                    placement_);
    }
    return *checkpoint_;
  }

  const llm::LanguageModelPtr& language_model() {
    if (!language_model_) language_model_ = llm::load_language_model(checkpoint(), plan_);
    return language_model_;
  }

  const std::string& model_;
  const std::string& projector_;
  const std::string trained_;  // eyes of nano; empty for other models
  const Placement placement_;
  const llm::LayerPlan& plan_;
  Workplace& workplace_;
  std::optional<Checkpoint> checkpoint_;
  llm::LanguageModelPtr language_model_;
};

}  // namespace

std::string home() {
  const char* home = std::getenv("LONGVIEW_HOME");
  return home != nullptr && *home != '\0' ? home : LV_HOME;
}

bool is_nano_that_sees(const std::string& model) {
  return model == "nano" && std::filesystem::exists(home() + "/" + kTrained);
}

std::vector<ModelCard> known_models() {
  const std::string whisper = kSpeechModel;
  return {
      card("nano",
           is_nano_that_sees("nano") ? "the default: the three below, with eyes trained for it"
                                     : "the default: the three below, joined without training",
           "Apache-2.0, MIT",
           {kLanguageModel, whisper + "/model.bin",
            std::string(kImageEncoder) + "/model.safetensors"}),
      card("smollm2-135m-instruct", "language model of nano, Q4_1", "Apache-2.0", {kLanguageModel}),
      card(whisper, "English speech recognition of nano", "MIT",
           {whisper + "/model.bin", whisper + "/config.json", whisper + "/tokenizer.json"}),
      card(kImageEncoder, "image encoder and classifier of nano, ImageNet", "Apache-2.0",
           {std::string(kImageEncoder) + "/model.safetensors",
            std::string(kImageEncoder) + "/config.json"}),
  };
}

std::string language_checkpoint(const std::string& model) { return checkpoint_path(model); }

std::string sample_clip() {
  const std::string path = home() + "/.deps/samples/sample.mp4";
  check(std::filesystem::exists(path), ErrorCode::kNotFound,
        path + ": the sample clip is not there; ./longview makes it");
  return path;
}

Workplace open_workplace(const WorkplaceOptions& options, double& load_ms) {
  StageClock clock;
  StageClock::Span loading(clock, load_ms);
  Workplace workplace;
  workplace.model = options.model;
  workplace.speech_model = kSpeechModel;
  for (const auto& [name, address] : options.upstream) check_stage_name(name);
  LocalStages local(options, workplace);
  for (const std::string& name : options.stages) {
    check_stage_name(name);
    if (!options.upstream.contains(name)) local.open(name);
  }
  // Wherever its stages run, prompts are written here.
  if (!trained_eyes(options).empty()) {
    workplace.stages.films = nano_films();
    workplace.stages.embed_text = nano_embedder(model_path(kLanguageModel));
  }
  use_remote_stages(workplace.stages, options.upstream, options.deadline);
  if (options.read) workplace.reader = std::make_shared<vision::TextReader>();
  return workplace;
}

}  // namespace lv::services
