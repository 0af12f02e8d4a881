#include "llm/generate/generator.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "llm/generate/pointing.h"
#include "llm/generate/stop_filter.h"
#include "llm/grammar/json_constraints.h"
#include "llm/models/worn_weights.h"

namespace lv::llm {
namespace {

/// One answer: tokens to text, up to a stop word.
class Answer {
 public:
  Answer(Engine& engine, const LanguageModel& model, const JsonConstraints& json,
         const Prompt& prompt)
      : model_(model), filter_(prompt.options.stop), decoder_(model.tokenizer()) {
    c10::InferenceMode no_autograd;
    TokenSequence sequence = model.read(prompt);
    EngineRequest request;
    request.embeddings = model.embed(sequence);
    request.positions = model.positions(sequence);
    request.answer_position = model.answer_position(sequence);
    request.pruning = row_pruning(sequence);
    for (const auto& segment : sequence.segments) {
      append_ids(segment, request.prompt_ids);
      append_keys(segment, request.row_keys);
    }
    request.options = sequence.options;
    request.stop_ids = model.stop_ids();
    request.context_tokens = model.context_tokens();
    if (!sequence.adapters.empty()) {
      request.worn = std::make_shared<const WornWeights>(sequence.adapters, model.model()->shape());
    }
    if (!request.options.json_schema.empty()) {
      request.constraint = json.make(request.options.json_schema);
    } else if (!request.options.grammar.empty()) {
      request.constraint = json.of_grammar(request.options.grammar);
    }
    prompt_tokens_ = request.embeddings.size(0);
    tokens_ = engine.start(std::move(request));
    if (!prompt.pointing || !model.pointer()) return;
    pointing_ = prompt.pointing;
    sequence_ = std::move(sequence);
  }

  /// The next piece that holds text or is the last.
  TextDelta next() {
    TextDelta delta;
    while (delta.text.empty()) {
      const std::optional<int64_t> id = tokens_->next();
      if (id) {
        ++generated_tokens_;
        if (pointing_) ids_.push_back(*id);
        delta.text = filter_.push(decoder_.push(*id));
        if (filter_.stopped()) return last(std::move(delta), FinishReason::kStop);
        continue;
      }
      delta.text = filter_.push(decoder_.finish());
      const bool stopped = filter_.stopped();
      delta.text += filter_.finish();
      return last(std::move(delta), stopped ? FinishReason::kStop : tokens_->finish());
    }
    return delta;
  }

 private:
  static void append_ids(const std::variant<TextTokens, CompressedTokens>& segment,
                         std::vector<int64_t>& ids) {
    const auto* text = std::get_if<TextTokens>(&segment);
    if (text == nullptr) return;
    const int64_t* first = text->ids.const_data_ptr<int64_t>();
    ids.insert(ids.end(), first, first + text->ids.numel());
  }

  /// A token's id, or what the bytes of a visual token's row come to.
  static void append_keys(const std::variant<TextTokens, CompressedTokens>& segment,
                          std::vector<uint64_t>& keys) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      const int64_t* first = text->ids.const_data_ptr<int64_t>();
      keys.insert(keys.end(), first, first + text->ids.numel());
      return;
    }
    const at::Tensor rows = std::get<CompressedTokens>(segment).embeddings.cpu().contiguous();
    const auto* bytes = static_cast<const char*>(rows.const_data_ptr());
    const size_t size = rows.size(0) > 0 ? rows.nbytes() / static_cast<size_t>(rows.size(0)) : 0;
    for (int64_t row = 0; row < rows.size(0); ++row, bytes += size) {
      keys.push_back(std::hash<std::string_view>()({bytes, size}));
    }
  }

  TextDelta last(TextDelta delta, FinishReason reason) const {
    if (pointing_) {
      c10::InferenceMode no_autograd;
      delta.pointed = pointed_at(model_, sequence_, *pointing_, ids_);
    }
    delta.last = true;
    delta.finish = reason;
    delta.prompt_tokens = prompt_tokens_;
    delta.generated_tokens = generated_tokens_;
    delta.cached_tokens = tokens_->cached_tokens();
    return delta;
  }

  const LanguageModel& model_;
  StopFilter filter_;
  StreamDecoder decoder_;
  std::optional<Pointing> pointing_;  // if it is to be answered
  TokenSequence sequence_;            // for that, as is the answer
  std::vector<int64_t> ids_;
  std::unique_ptr<TokenStream> tokens_;
  int64_t prompt_tokens_ = 0;
  int64_t generated_tokens_ = 0;
};

class Answers : public Source<TextDelta> {
 public:
  Answers(Engine& engine, const LanguageModel& model, const JsonConstraints& json,
          SourcePtr<Prompt> prompts)
      : engine_(engine), model_(model), json_(json), prompts_(std::move(prompts)) {}

  std::optional<TextDelta> next() override {
    if (!answer_) {
      const std::optional<Prompt> prompt = prompts_->next();
      if (!prompt) return std::nullopt;
      answer_.emplace(engine_, model_, json_, *prompt);
    }
    TextDelta delta = answer_->next();
    delta.sequence = sequence_;
    if (delta.last) {
      answer_.reset();
      ++sequence_;
    }
    return delta;
  }

 private:
  Engine& engine_;
  const LanguageModel& model_;
  const JsonConstraints& json_;
  SourcePtr<Prompt> prompts_;
  std::optional<Answer> answer_;
  int64_t sequence_ = 0;
};

class Generate : public Stage<Prompt, TextDelta> {
 public:
  Generate(LanguageModelPtr model, EngineLimits limits)
      : model_(std::move(model)),
        json_(model_->tokenizer(), model_->model()->shape().vocabulary, model_->stop_ids()),
        engine_(std::make_unique<Engine>(model_->model(), limits)) {}

  SourcePtr<TextDelta> start(SourcePtr<Prompt> input) const override {
    return std::make_unique<Answers>(*engine_, *model_, json_, std::move(input));
  }

 private:
  LanguageModelPtr model_;
  JsonConstraints json_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

StagePtr<Prompt, TextDelta> make_generate(LanguageModelPtr model, EngineLimits limits) {
  if (limits.draft_tokens == 0) limits.draft_tokens = model->draft_tokens();
  return std::make_shared<Generate>(std::move(model), limits);
}

}  // namespace lv::llm
