#include "llm/generate/language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "llm/engine/grid_positions.h"
#include "llm/models/models.h"
#include "llm/reason/evidence_pointer.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"

namespace lv::llm {

using std::string_literals::operator""s;

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

/// Puts the place of a picture that is worn before the first words of the user.
void add_worn_picture(std::vector<Message>& messages, int64_t width) {
  const auto user = std::ranges::find(messages, "user", &Message::role);
  if (user == messages.end()) return;
  const CompressedTokens nothing{at::empty({0, width}), at::empty({0}), no_origin(), {}};
  user->parts.insert(user->parts.begin(), {nothing, "\n"s});
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

CompressedTokens rows_of(const CompressedTokens& tokens, int64_t first, int64_t last) {
  if (first == 0 && last == tokens.embeddings.size(0)) return tokens;
  const at::Tensor rows = at::arange(first, last, tokens.origin.source.options().dtype(at::kLong));
  return {tokens.embeddings.slice(0, first, last),
          tokens.sizes.slice(0, first, last),
          select(tokens.origin, rows),
          {},
          tokens.pruning};
}

/// Puts a prompt's text and visual tokens into segments. If the vocabulary has a mark for visual
/// tokens, the text on both sides of one is tokenised together, as in the model's training.
class PromptWriter {
 public:
  PromptWriter(const Tokenizer& tokenizer, std::string mark, TokenSequence& sequence)
      : tokenizer_(tokenizer), mark_(std::move(mark)), sequence_(sequence) {
    if (!mark_.empty()) mark_id_ = tokenizer.id_of(mark_);
  }

  void begin_with(const std::vector<int64_t>& ids) { add_ids(ids); }
  void add(std::string text, bool special_allowed) {
    pieces_.emplace_back(std::move(text), special_allowed);
  }
  void add_rows(const CompressedTokens& tokens, int64_t first, int64_t last) {
    if (mark_id_) add(mark_, true);
    rows_.push_back(rows_of(tokens, first, last));
    if (!mark_id_) finish();
  }

  void finish() {
    std::vector<TextPiece> text;
    for (const auto& [piece, special] : pieces_) text.push_back({piece, special});
    const std::vector<int64_t> ids = tokenizer_.encode(text);
    auto next = rows_.begin();
    for (auto from = ids.begin(); from != ids.end();) {
      const auto to = mark_id_ ? std::find(from, ids.end(), *mark_id_) : ids.end();
      add_ids({from, to});
      if (to == ids.end()) break;
      check(next != rows_.end(), ErrorCode::kInternal,
            "prompt: expected a visual token for each " + mark_);
      sequence_.segments.emplace_back(std::move(*next++));
      from = to + 1;
    }
    for (; next != rows_.end(); ++next) sequence_.segments.emplace_back(std::move(*next));
    pieces_.clear();
    rows_.clear();
  }

 private:
  void add_ids(const std::vector<int64_t>& ids) {
    if (ids.empty()) return;
    if (!sequence_.segments.empty()) {
      if (auto* text = std::get_if<TextTokens>(&sequence_.segments.back())) {
        text->ids = at::cat({text->ids, tensor_of(ids)});
        return;
      }
    }
    sequence_.segments.emplace_back(TextTokens{tensor_of(ids)});
  }

  const Tokenizer& tokenizer_;
  std::string mark_;
  std::optional<int64_t> mark_id_;
  TokenSequence& sequence_;
  std::vector<std::pair<std::string, bool>> pieces_;
  std::vector<CompressedTokens> rows_;  // that wait for the text before them
};

}  // namespace

LanguageModel::LanguageModel(Parts parts) : parts_(std::move(parts)) {
  const ModelShape shape = parts_.model->shape();
  check(parts_.tokenizer->size() <= shape.vocabulary, ErrorCode::kInvalidArgument,
        parts_.name + ": tokenizer: expected at most " + std::to_string(shape.vocabulary) +
            " tokens, got " + std::to_string(parts_.tokenizer->size()));
  check(parts_.context_tokens > 0, ErrorCode::kInvalidArgument,
        parts_.name + ": expected a context of at least one token");
  // What templates of models that were trained with pictures write in their place.
  for (const std::string& mark : {parts_.pictures.mark, "<image>"s, "<|image_pad|>"s}) {
    if (mark_.empty() && !mark.empty() && parts_.tokenizer->id_of(mark)) mark_ = mark;
  }
  // The template writes its family's mark even where no token is called so.
  if (mark_.empty()) mark_ = parts_.pictures.mark;
}

TokenSequence LanguageModel::read(const Prompt& prompt) const {
  validate(prompt);
  TokenSequence sequence;
  sequence.options = prompt.options;
  sequence.adapters = prompt.adapters;
  std::vector<Message> messages = prompt.messages;
  if (parts_.pictures.worn) {
    check(visual_parts(messages).empty(), ErrorCode::kInvalidArgument,
          "prompt: " + parts_.name + " wears pictures as weights (compressor vlora) and reads no " +
              "visual tokens");
    if (!prompt.adapters.empty()) add_worn_picture(messages, width());
  }
  const std::vector<TemplatePiece> pieces = render(messages, prompt.tools);
  const std::vector<const CompressedTokens*> visuals = visual_parts(messages);
  PromptWriter writer(*parts_.tokenizer, mark_, sequence);
  writer.begin_with(begin_ids(pieces));
  PictureSurroundings around;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const TemplatePiece& piece = pieces[i];
    if (piece.visual < 0) {
      writer.add(piece.text, !piece.from_user);
      continue;
    }
    const CompressedTokens& tokens = *visuals.at(static_cast<size_t>(piece.visual));
    around.after_picture = i > 0 && pieces[i - 1].visual >= 0;
    around.next = i + 1 < pieces.size() ? pieces[i + 1].text : std::string_view();
    const auto write = parts_.pictures.known() ? parts_.pictures.write : write_plain;
    for (PicturePiece& part : write(tokens, around)) {
      if (part.numbered) ++around.numbered;
      if (part.text.empty()) {
        writer.add_rows(tokens, part.first, part.last);
      } else {
        writer.add(std::move(part.text), true);
      }
    }
  }
  writer.finish();
  return sequence;
}

std::vector<int64_t> LanguageModel::begin_ids(const std::vector<TemplatePiece>& pieces) const {
  const auto& tokenizer = *parts_.tokenizer;
  if (!tokenizer.bos()) return {};
  if (!parts_.chat_template) return {*tokenizer.bos()};
  // A language model's template writes its own beginning. Processors of models that see tokenise
  // its text as any text, unless it does.
  if (!parts_.pictures.known()) return {};
  const bool written = !pieces.empty() && !pieces.front().from_user &&
                       pieces.front().text.starts_with(tokenizer.token(*tokenizer.bos()));
  const std::vector<int64_t> ends = tokenizer.with_ends({});
  if (written || ends.empty() || ends.front() != *tokenizer.bos()) return {};
  return {ends.front()};
}

std::vector<TemplatePiece> LanguageModel::render(const std::vector<Message>& messages,
                                                 const Json::Array& tools) const {
  if (!parts_.chat_template) {
    check(tools.empty() &&
              std::ranges::all_of(messages, &std::vector<ToolCall>::empty, &Message::tool_calls),
          ErrorCode::kInvalidArgument,
          "prompt.tools: " + parts_.name + " has no chat template, so that it knows no tools");
    std::vector<TemplatePiece> pieces;
    append_plain(messages, pieces);
    return pieces;
  }
  ChatTemplateOptions options;
  options.visual_mark = mark_;
  if (!tools.empty()) options.tools = tools;
  // Last words of the assistant are the beginning of the answer: they stand behind the template's
  // own prompt for it.
  const bool begun = messages.back().role == "assistant" && messages.back().tool_calls.empty();
  const auto asked = static_cast<int64_t>(messages.size()) - (begun ? 1 : 0);
  std::vector<TemplatePiece> pieces =
      parts_.chat_template->render({messages.begin(), messages.begin() + asked}, options);
  if (begun) append_plain({messages.begin() + asked, messages.end()}, pieces);
  return pieces;
}

at::Tensor LanguageModel::embed(const TokenSequence& sequence) const {
  const ModelShape shape = parts_.model->shape();
  std::vector<at::Tensor> rows;
  for (const auto& segment : sequence.segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      rows.push_back(parts_.model->embed(text->ids));
      continue;
    }
    const at::Tensor& visual = std::get<CompressedTokens>(segment).embeddings;
    check_shape(visual, "compressed.embeddings", {-1, width()});
    rows.push_back(visual.to(shape.device, shape.dtype));
  }
  if (rows.empty()) return at::empty({0, width()}, at::device(shape.device).dtype(shape.dtype));
  return at::cat(rows);
}

at::Tensor LanguageModel::positions(const TokenSequence& sequence) const {
  if (parts_.pictures.worn) return positions_beside_worn(sequence);
  if (parts_.model->shape().position_axes == 1) return {};
  return grid_positions(sequence, parts_.film_tokens_per_second);
}

std::optional<int64_t> LanguageModel::answer_position(const TokenSequence& sequence) const {
  if (!parts_.pictures.worn) return std::nullopt;
  // The family's own generate() counts what there is to look at, so without the picture's place.
  return positions_beside_worn(sequence).size(0);
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

LanguageModelPtr load_language_model(const std::string& path, const LayerPlan& plan,
                                     const Placement& placement) {
  return load_language_model(open_checkpoint(path, placement), plan);
}

LanguageModelPtr load_language_model(const Checkpoint& checkpoint, const LayerPlan& plan) {
  LanguageModel::Parts parts;
  parts.name = checkpoint.name();
  parts.tokenizer = load_tokenizer(checkpoint);
  if (auto chat_template = load_chat_template(checkpoint)) {
    parts.chat_template = std::make_shared<const ChatTemplate>(std::move(*chat_template));
  }
  parts.pictures = picture_layout(checkpoint.architecture(), checkpoint.config());
  if (const Json* eyes = checkpoint.config().find("vision_config")) {
    parts.film_tokens_per_second = eyes->get("tokens_per_second", parts.film_tokens_per_second);
  }
  parts.stop_ids = stop_ids_of(checkpoint, *parts.tokenizer);
  parts.model = make_model(checkpoint, plan);
  if (has_pointer(checkpoint)) {
    parts.pointer = std::make_shared<const EvidencePointer>(pointer_part(checkpoint));
  }
  parts.draft_tokens = plan.draft_tokens;
  parts.context_tokens =
      plan.context_tokens > 0 ? plan.context_tokens : parts.model->shape().max_positions;
  return std::make_shared<const LanguageModel>(std::move(parts));
}

}  // namespace lv::llm
