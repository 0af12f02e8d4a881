#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/prompt.h"

namespace lv {
class Checkpoint;
}

namespace lv::llm {

/// A stretch of a rendered prompt: text, or the place of a visual part.
struct TemplatePiece {
  std::string text;
  bool from_user = false;  // no special token may be recognised in it
  int visual = -1;         // else the visual part's number, in reading order of the messages
};

struct ChatTemplateOptions {
  bool add_generation_prompt = true;
  Json tools;      // a list, or null
  Json variables;  // further ones that the template knows, an object or null; their text is the
                   // user's
  /// What the template itself writes for a picture, e.g. "<image>": each becomes a visual piece, in
  /// order. If empty, it stays text.
  std::string visual_mark;
  std::optional<int64_t>
      now_seconds;  // what strftime_now() tells, since 1970; the clock's if absent
};

/// A model's chat template: Jinja, as transformers runs it (trim_blocks, lstrip_blocks, loop
/// controls, no changes of values). Steps, memory and depth are bounded. Immutable, thread-safe.
class ChatTemplate {
 public:
  /// Throws kInvalidArgument that names the line, kUnimplemented on what is not understood.
  ChatTemplate(std::string_view source, std::string bos_token, std::string eos_token);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;

  /// The prompt, in pieces. A template that goes through a message's content part by part gets the
  /// list of its parts, any other one string in which the visual parts keep their places. Calls of
  /// tools, their arguments and the tools themselves are the user's text.
  /// Throws kInvalidArgument with what raise_exception() says, or with the line of a wrong
  /// operation; kResourceExhausted when the template takes too long.
  std::vector<TemplatePiece> render(const std::vector<Message>& messages,
                                    const ChatTemplateOptions& options = {}) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

/// The template that comes with a model: of a GGUF file, of chat_template.jinja or .json, or of
/// tokenizer_config.json (the one called "default"); else that of its family, where files bring
/// none. nullopt if there is none.
std::optional<ChatTemplate> load_chat_template(const Checkpoint& checkpoint);

}  // namespace lv::llm
