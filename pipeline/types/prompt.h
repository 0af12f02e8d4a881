#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/visual_tokens.h"

namespace lv {

/// One part of a message, in reading order. Text is never read as a special token.
using PromptPart = std::variant<std::string, CompressedTokens>;

/// What a message of the assistant asks a tool to do.
struct ToolCall {
  std::string id;  // empty if calls need none
  std::string name;
  Json arguments;  // an object
};

struct Message {
  std::string role;  // system | user | assistant | tool
  std::vector<PromptPart> parts = {};
  std::vector<ToolCall> tool_calls = {};  // of the assistant
  std::string tool_call_id = {};          // of a tool: the call that it answers
  std::string tool_name = {};             // of a tool: its own
};

/// Of a JSON schema, in bytes.
constexpr size_t kMaxSchemaBytes = 1 << 16;

/// How the next token is chosen and when to stop.
struct GenerationOptions {
  int64_t max_tokens = 128;
  double temperature = 0;  // 0 is greedy
  int64_t top_k = 0;       // 0 keeps all
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;  // over the prompt and what was generated
  uint64_t seed = 0;  // a sequence's draws depend on this and on nothing that runs beside it
  std::vector<std::string> stop;  // text that ends the answer and is not part of it
  std::string json_schema =
      {};  // that the answer obeys, see llm/grammar/json_schema.h; empty: any text
  std::string grammar = {};  // that the answer obeys, in XGrammar's EBNF; empty: any text
};

/// The bytes [begin, end) of a text.
struct TextRange {
  int64_t begin = 0, end = 0;
};

/// Asks what the answer rests on, of a model that was trained to point at it: the prompt's visual
/// tokens, or, if there are any, these cells of the text behind them.
struct Pointing {
  std::vector<TextRange> cells = {};
};

/// What a language model is asked: a conversation that may hold visual tokens, compressed before
/// the prompt exists. The model that reads it applies its own chat template and tokenizer.
struct Prompt {
  std::vector<Message> messages;
  GenerationOptions options;
  AdapterWeights adapters;
  Json::Array tools;  // what may be called: an object each, in the form that the template knows
  std::optional<Pointing> pointing = {};
};

struct TextTokens {
  at::Tensor ids;  // [n] int64
};

/// A prompt after template and tokenizer: what the engine reads.
struct TokenSequence {
  std::vector<std::variant<TextTokens, CompressedTokens>> segments;  // in reading order
  GenerationOptions options;
  AdapterWeights adapters;
};

enum class FinishReason { kNone, kStop, kLength };

/// What an answer rests on, of what a Pointing names, in the order of pointing.
struct Pointed {
  std::vector<int64_t> rows;
  double confidence = 0;  // the probability of pointing at just these
};

/// The next piece of an answer. Whole UTF-8 characters.
struct TextDelta {
  int64_t sequence = 0;  // which prompt of the stream it answers
  std::string text;
  bool last = false;
  FinishReason finish = FinishReason::kNone;  // set on the last
  int64_t prompt_tokens = 0;                  // set on the last
  int64_t generated_tokens = 0;               // set on the last
  int64_t cached_tokens = 0;            // of the prompt, known from an earlier one; set on the last
  std::optional<Pointed> pointed = {};  // set on the last, if asked for and the model can
};

/// Throws kInvalidArgument that names the field. Only the assistant may call tools.
void validate(const Prompt& prompt);

}  // namespace lv
