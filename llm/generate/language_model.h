#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/models/causal_lm.h"
#include "llm/plan/layer_plan.h"
#include "llm/template/chat_template.h"
#include "llm/template/picture_layout.h"
#include "llm/tokenizer/tokenizer.h"
#include "pipeline/types/prompt.h"
#include "pipeline/weights/placement.h"

namespace lv::llm {

class EvidencePointer;

/// A language model with what turns text into its tokens and back. Immutable, thread-safe.
class LanguageModel {
 public:
  struct Parts {
    std::string name;
    std::shared_ptr<const CausalLm> model;
    TokenizerPtr tokenizer;
    std::shared_ptr<const ChatTemplate> chat_template;  // null: parts are read one after another
    PictureLayout pictures;             // unknown for models that were not trained with any
    double film_tokens_per_second = 4;  // see grid_positions.h
    std::shared_ptr<const EvidencePointer> pointer = {};  // null for most models
    std::vector<int64_t> stop_ids;                        // tokens that end an answer
    int64_t context_tokens = 0;                           // prompt and answer together
    int64_t draft_tokens = 0;                             // see EngineLimits
  };
  /// Throws kInvalidArgument if the tokenizer knows more ids than the model, or there is no
  /// context.
  explicit LanguageModel(Parts parts);

  const std::string& name() const { return parts_.name; }
  const std::shared_ptr<const CausalLm>& model() const { return parts_.model; }
  const TokenizerPtr& tokenizer() const { return parts_.tokenizer; }
  const std::shared_ptr<const EvidencePointer>& pointer() const { return parts_.pointer; }
  const std::vector<int64_t>& stop_ids() const { return parts_.stop_ids; }
  int64_t context_tokens() const { return parts_.context_tokens; }
  int64_t draft_tokens() const { return parts_.draft_tokens; }
  int64_t width() const { return parts_.model->shape().width; }

  /// The prompt in the model's own chat template, as tokens, up to where the answer begins. Visual
  /// tokens stand between the text that the model's family writes around pictures.
  /// A model that wears its pictures has one before the user's first words if the prompt has
  /// adapters. Throws what validate() throws, and kInvalidArgument on tokens for such a model and
  /// on tools for one without a template.
  TokenSequence read(const Prompt& prompt) const;

  /// The rows that the model reads for a sequence: [n, D]. Throws kInvalidArgument on visual tokens
  /// of another width.
  at::Tensor embed(const TokenSequence& sequence) const;

  /// Where the rows stand, [n, axes] int64, for a model whose places have several axes or that
  /// wears its pictures; undefined for others, whose rows stand one after another. See
  /// grid_positions.h.
  at::Tensor positions(const TokenSequence& sequence) const;

  /// Where the first token of the answer stands, for a model whose answers do not begin behind the
  /// last row's place.
  std::optional<int64_t> answer_position(const TokenSequence& sequence) const;

  /// The token embeddings of a text, without the template: [n, D].
  at::Tensor embed_text(std::string_view text) const;
  /// One row a text, the mean of its token embeddings: [C, D]. An empty text gives zeros.
  at::Tensor embed_texts(const std::vector<std::string>& texts) const;

 private:
  std::vector<TemplatePiece> render(const std::vector<Message>& messages,
                                    const Json::Array& tools) const;
  std::vector<int64_t> begin_ids(const std::vector<TemplatePiece>& pieces) const;

  Parts parts_;
  std::string mark_;  // of a visual token in templates; empty if there is none
};
using LanguageModelPtr = std::shared_ptr<const LanguageModel>;

/// Opens a folder in Hugging Face layout or a GGUF file: weights, tokenizer and chat template.
LanguageModelPtr load_language_model(const std::string& path, const LayerPlan& plan = {},
                                     const Placement& placement = {});
LanguageModelPtr load_language_model(const Checkpoint& checkpoint, const LayerPlan& plan = {});

/// Ids that the files beside a checkpoint name as the end of an answer, and those of the tokenizer;
/// each once.
std::vector<int64_t> stop_ids_of(const Checkpoint& checkpoint, const Tokenizer& tokenizer);

}  // namespace lv::llm
