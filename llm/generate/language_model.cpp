#include "llm/generate/language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "llm/models/models.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {
namespace {

at::Tensor tensor_of(const std::vector<int64_t>& ids) { return at::tensor(ids, at::kLong); }

/// Appends the whole numbers in a value that may be one, a list of them, or absent.
void append_ids(const Json* value, std::vector<int64_t>& ids) {
  if (value == nullptr || value->is_null()) return;
  const Json::Array one{*value};
  for (const Json& id : value->is_array() ? value->as_array() : one) {
    const int64_t next = id.as_int();
    if (std::find(ids.begin(), ids.end(), next) == ids.end()) ids.push_back(next);
  }
}

/// The visual parts of all messages, in reading order.
std::vector<const CompressedTokens*> visual_parts(const std::vector<Message>& messages) {
  std::vector<const CompressedTokens*> all;
  for (const Message& message : messages) {
    for (const PromptPart& part : message.parts) {
      if (const auto* tokens = std::get_if<CompressedTokens>(&part)) all.push_back(tokens);
    }
  }
  return all;
}

/// Appends the parts of all messages one after another, as a model without a template reads them.
void append_plain(const std::vector<Message>& messages, std::vector<TemplatePiece>& pieces) {
  int visual = 0;
  for (const TemplatePiece& piece : pieces) visual += piece.visual >= 0 ? 1 : 0;
  for (const Message& message : messages) {
    if (&message != &messages.front()) pieces.push_back({"\n"});
    for (const PromptPart& part : message.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) {
        pieces.push_back({*text, true});
      } else {
        pieces.push_back({{}, false, visual++});
      }
    }
  }
}

}  // namespace

LanguageModel::LanguageModel(Parts parts) : parts_(std::move(parts)) {
  const ModelShape shape = parts_.model->shape();
  check(parts_.tokenizer->size() <= shape.vocabulary, ErrorCode::kInvalidArgument,
        parts_.name + ": tokenizer: expected at most " + std::to_string(shape.vocabulary) +
            " tokens, got " + std::to_string(parts_.tokenizer->size()));
  check(parts_.context_tokens > 0, ErrorCode::kInvalidArgument,
        parts_.name + ": expected a context of at least one token");
}

TokenSequence LanguageModel::read(const Prompt& prompt) const {
  validate(prompt);
  TokenSequence sequence;
  sequence.options = prompt.options;
  sequence.adapters = prompt.adapters;
  const std::vector<TemplatePiece> pieces = render(prompt.messages);
  std::vector<TextPiece> text;
  if (!parts_.chat_template && parts_.tokenizer->bos()) {
    sequence.segments.emplace_back(TextTokens{tensor_of({*parts_.tokenizer->bos()})});
  }
  const auto flush = [&] {
    const std::vector<int64_t> ids = parts_.tokenizer->encode(text);
    text.clear();
    if (!ids.empty()) sequence.segments.emplace_back(TextTokens{tensor_of(ids)});
  };
  const std::vector<const CompressedTokens*> visuals = visual_parts(prompt.messages);
  for (const TemplatePiece& piece : pieces) {
    if (piece.visual < 0) {
      text.push_back({piece.text, !piece.from_user});
      continue;
    }
    flush();
    sequence.segments.emplace_back(*visuals.at(static_cast<size_t>(piece.visual)));
  }
  flush();
  return sequence;
}

std::vector<TemplatePiece> LanguageModel::render(const std::vector<Message>& messages) const {
  if (!parts_.chat_template) {
    std::vector<TemplatePiece> pieces;
    append_plain(messages, pieces);
    return pieces;
  }
  ChatTemplateOptions options;
  // What templates of models that were trained with pictures write in their place.
  for (const char* mark : {"<image>", "<|image_pad|>"}) {
    if (options.visual_mark.empty() && parts_.tokenizer->id_of(mark)) options.visual_mark = mark;
  }
  // A last message of the assistant is the beginning of the answer: it stands behind the template's
  // own prompt for it.
  const bool begun = messages.back().role == "assistant";
  const auto asked = static_cast<int64_t>(messages.size()) - (begun ? 1 : 0);
  std::vector<TemplatePiece> pieces =
      parts_.chat_template->render({messages.begin(), messages.begin() + asked}, options);
  if (begun) append_plain({messages.begin() + asked, messages.end()}, pieces);
  return pieces;
}

at::Tensor LanguageModel::embed(const TokenSequence& sequence) const {
  std::vector<at::Tensor> rows;
  for (const auto& segment : sequence.segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      rows.push_back(parts_.model->embed(text->ids));
      continue;
    }
    const at::Tensor& visual = std::get<CompressedTokens>(segment).embeddings;
    check_shape(visual, "compressed.embeddings", {-1, width()});
    rows.push_back(visual.to(at::kFloat));
  }
  if (rows.empty()) return at::empty({0, width()});
  return at::cat(rows);
}

at::Tensor LanguageModel::embed_text(std::string_view text) const {
  return parts_.model->embed(tensor_of(parts_.tokenizer->encode(text)));
}

at::Tensor LanguageModel::embed_texts(const std::vector<std::string>& texts) const {
  at::Tensor means = at::zeros({static_cast<int64_t>(texts.size()), width()});
  for (size_t i = 0; i < texts.size(); ++i) {
    const at::Tensor rows = embed_text(texts[i]);
    if (rows.size(0) > 0) means[static_cast<int64_t>(i)].copy_(rows.mean(0));
  }
  return means;
}

std::vector<int64_t> stop_ids_of(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  std::vector<int64_t> ids = tokenizer.stop_ids();
  append_ids(checkpoint.config().find("eos_token_id"), ids);
  const std::string generation = checkpoint.path() + "/generation_config.json";
  if (std::filesystem::exists(generation)) {
    append_ids(read_json_file(generation).find("eos_token_id"), ids);
  }
  return ids;
}

LanguageModelPtr load_language_model(const std::string& path, const LayerPlan& plan) {
  const Checkpoint checkpoint = open_checkpoint(path);
  LanguageModel::Parts parts;
  parts.name = checkpoint.name();
  parts.tokenizer = load_tokenizer(checkpoint);
  if (auto chat_template = load_chat_template(checkpoint)) {
    parts.chat_template = std::make_shared<const ChatTemplate>(std::move(*chat_template));
  }
  parts.stop_ids = stop_ids_of(checkpoint, *parts.tokenizer);
  parts.model = make_model(checkpoint, plan);
  parts.context_tokens =
      plan.context_tokens > 0 ? plan.context_tokens : parts.model->shape().max_positions;
  return std::make_shared<const LanguageModel>(std::move(parts));
}

}  // namespace lv::llm
