#include "services/models/nano.h"

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "pipeline/weights/converted_store.h"
#include "services/tasks/camera_views.h"
#include "vision/connectors/classwords.h"
#include "vision/preprocess/film_frames.h"

namespace lv::services {
namespace {

constexpr const char* kClassWords = "class_words";

// What models/nano/recipe trained with: the blocks whose maps are read, sides in pixels.
constexpr const char* kTaps = "[4, 10, 15]";
constexpr const char* kImageProcessor =
    R"({"image_processor_type": "NanoImageProcessor", "image_size": 224, "page_size": 448,
        "fps": 2, "min_frames": 4, "max_frames": 8})";

/// Tokens of a text and their embeddings, without the rest of a language model.
class TextEmbedder {
 public:
  explicit TextEmbedder(const Checkpoint& language)
      : tokenizer_(llm::load_tokenizer(language)),
        embedding_(language.root(at::kFloat) / "model" / "embed_tokens",
                   language.config().at("vocab_size").as_int(),
                   language.config().at("hidden_size").as_int()) {}

  /// [n, D]
  at::Tensor operator()(const std::string& text) const {
    return embedding_(at::tensor(tokenizer_->encode(text), at::kLong));
  }

 private:
  llm::TokenizerPtr tokenizer_;
  Embedding embedding_;
};

/// One row a class: the mean of the language model's embeddings of its name, made when it is read.
class ClassWordStore : public TensorStore {
 public:
  ClassWordStore(Checkpoint language, std::vector<std::string> names)
      : language_(std::move(language)), names_(std::move(names)) {}

  std::vector<std::string> names() const override { return {kClassWords}; }
  bool contains(std::string_view name) const override { return name == kClassWords; }
  std::vector<int64_t> shape(std::string_view) const override {
    return {static_cast<int64_t>(names_.size()), language_.config().at("hidden_size").as_int()};
  }
  ElementType type(std::string_view) const override { return at::kFloat; }

  StoredTensor get(std::string_view name) const override {
    check(contains(name), ErrorCode::kNotFound,
          "expected a tensor " + std::string(name) + ", got none");
    const TextEmbedder embed(language_);
    std::vector<at::Tensor> rows;
    for (const std::string& each : names_) rows.push_back(embed(" " + each).mean(0));
    return at::stack(rows);
  }

 private:
  Checkpoint language_;
  std::vector<std::string> names_;
};

/// "language.layers.3.parts.q_proj.down" -> the name that the language model reads it by.
std::string adapter_name(const std::string& trained) {
  constexpr std::string_view kBegin = "language.layers.", kParts = ".parts.";
  const size_t parts = trained.find(kParts), end = trained.rfind('.');
  const bool known = trained.starts_with(kBegin) && parts != std::string::npos &&
                     end > parts + kParts.size() &&
                     (trained.ends_with(".down") || trained.ends_with(".up"));
  check(known, ErrorCode::kInvalidArgument,
        trained + ": expected language.layers.N.parts.NAME.down or .up");
  const std::string layer = trained.substr(kBegin.size(), parts - kBegin.size());
  const std::string name = trained.substr(parts + kParts.size(), end - parts - kParts.size());
  const bool attends = name.size() == std::string_view("q_proj").size();
  return "language_model.model.layers." + layer + (attends ? ".self_attn." : ".mlp.") + name +
         ".adapter" + trained.substr(end) + ".weight";
}

Json config_of(const Checkpoint& language, const Checkpoint& classifier) {
  Json text = language.config();
  text.set("model_type", "llama");
  Json vision = classifier.config();
  vision.set("model_type", "nano_vision");
  vision.set("taps", parse_json(kTaps, "taps"));
  Json config;
  config.set("architectures", Json::Array{"NanoForConditionalGeneration"});
  config.set("model_type", "nano");
  config.set("text_config", std::move(text));
  config.set("vision_config", std::move(vision));
  Json views;
  for (const std::string& view : camera_views()) views.push_back(view);
  views.push_back("page");
  config.set("views", std::move(views));
  config.set("image_processor", parse_json(kImageProcessor, "image_processor"));
  return config;
}

}  // namespace

Checkpoint open_nano(const NanoFiles& files, const Placement& placement) {
  const Checkpoint language = open_checkpoint(files.language_model, {}, "none");
  const Checkpoint classifier = open_checkpoint(files.classifier);
  ConvertedStore::Index index;
  const auto add = [&index](const TensorStorePtr& from, const std::string& prefix) {
    for (const std::string& name : from->names()) index[prefix + name] = {from, {name}};
  };
  const auto shared = [](const Checkpoint& checkpoint) {
    // The store lives as long as the checkpoint that is copied beside it.
    const auto kept = std::make_shared<const Checkpoint>(checkpoint);
    return TensorStorePtr(kept, &kept->tensors());
  };
  add(shared(language), "language_model.");
  add(shared(classifier), "classifier.");
  for (const std::string& name : files.trained->names()) {
    const bool adapter = name.starts_with("language.");
    index[adapter ? adapter_name(name) : name] = {files.trained, {name}};
  }
  add(std::make_shared<ClassWordStore>(language, vision::read_class_names(files.class_names)), "");
  return Checkpoint("nano", config_of(language, classifier),
                    std::make_shared<const ConvertedStore>("nano", std::move(index)),
                    language.metadata())
      .placed(placement);
}

FilmManner nano_films() {
  FilmManner films;
  films.frames = vision::film_frames(parse_json(kImageProcessor, "image_processor"));
  films.pictures_first = true;
  return films;
}

std::function<at::Tensor(const std::string&)> nano_embedder(const std::string& language_model) {
  struct Opened {
    std::once_flag once;
    std::optional<TextEmbedder> embed;
  };
  return [language_model, opened = std::make_shared<Opened>()](const std::string& text) {
    std::call_once(opened->once,
                   [&] { opened->embed.emplace(open_checkpoint(language_model, {}, "none")); });
    return (*opened->embed)(text);
  };
}

}  // namespace lv::services
