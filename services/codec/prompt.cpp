#include "longview/v1/prompt.pb.h"
#include "services/codec/codec.h"
#include "services/codec/fields.h"

namespace lv::services {

void to_proto(const GenerationOptions& options, v1::GenerationOptions* message) {
  message->Clear();
  message->set_max_tokens(options.max_tokens);
  message->set_temperature(options.temperature);
  message->set_top_k(options.top_k);
  message->set_top_p(options.top_p);
  message->set_min_p(options.min_p);
  message->set_repetition_penalty(options.repetition_penalty);
  message->set_seed(options.seed);
  put_texts(options.stop, message->mutable_stop());
  message->set_json_schema(valid_utf8(options.json_schema));
  message->set_grammar(valid_utf8(options.grammar));
}

GenerationOptions from_proto(const v1::GenerationOptions& message) {
  GenerationOptions options;
  if (message.has_max_tokens()) options.max_tokens = message.max_tokens();
  options.temperature = message.temperature();
  options.top_k = message.top_k();
  if (message.has_top_p()) options.top_p = message.top_p();
  options.min_p = message.min_p();
  if (message.has_repetition_penalty()) options.repetition_penalty = message.repetition_penalty();
  options.seed = message.seed();
  options.stop.assign(message.stop().begin(), message.stop().end());
  options.json_schema = message.json_schema();
  options.grammar = message.grammar();
  check_number(static_cast<double>(options.max_tokens), "max_tokens", 1);
  check_number(options.temperature, "temperature");
  check_number(static_cast<double>(options.top_k), "top_k");
  check_number(options.top_p, "top_p", std::numeric_limits<double>::min(), 1);
  check_number(options.min_p, "min_p", 0, 1);
  check_number(options.repetition_penalty, "repetition_penalty",
               std::numeric_limits<double>::min());
  return options;
}

namespace {

void to_proto(const ToolCall& call, v1::ToolCall* message) {
  message->set_id(valid_utf8(call.id));
  message->set_name(valid_utf8(call.name));
  message->set_arguments(call.arguments.dump());
}

ToolCall from_proto(const v1::ToolCall& message) {
  const std::string& text = message.arguments();
  return {message.id(), message.name(),
          text.empty() ? Json(Json::Object()) : parse_json(text, "prompt.messages.tool_calls")};
}

}  // namespace

void to_proto(const Prompt& prompt, v1::Prompt* message) {
  message->Clear();
  for (const Message& turn : prompt.messages) {
    v1::Message* out = message->add_messages();
    out->set_role(valid_utf8(turn.role));
    out->set_tool_call_id(valid_utf8(turn.tool_call_id));
    out->set_tool_name(valid_utf8(turn.tool_name));
    for (const ToolCall& call : turn.tool_calls) to_proto(call, out->add_tool_calls());
    for (const PromptPart& part : turn.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) {
        out->add_parts()->set_text(valid_utf8(*text));
      } else {
        to_proto(std::get<CompressedTokens>(part), out->add_parts()->mutable_tokens());
      }
    }
  }
  to_proto(prompt.options, message->mutable_options());
  if (!prompt.adapters.empty()) to_proto(prompt.adapters, message->mutable_adapters());
  for (const Json& tool : prompt.tools) message->add_tools(tool.dump());
  if (!prompt.pointing) return;
  v1::Pointing* pointing = message->mutable_pointing();
  for (const TextRange& cell : prompt.pointing->cells) {
    v1::TextRange* out = pointing->add_cells();
    out->set_begin(cell.begin);
    out->set_end(cell.end);
  }
}

Prompt from_proto(Received<v1::Prompt> message) {
  Prompt prompt;
  for (const v1::Message& turn : message->messages()) {
    Message& out = prompt.messages.emplace_back();
    out.role = turn.role();
    out.tool_call_id = turn.tool_call_id();
    out.tool_name = turn.tool_name();
    for (const v1::ToolCall& call : turn.tool_calls()) out.tool_calls.push_back(from_proto(call));
    for (const v1::PromptPart& part : turn.parts()) {
      check(part.part_case() != v1::PromptPart::PART_NOT_SET, ErrorCode::kInvalidArgument,
            "prompt.messages.parts: expected text or tokens, got neither");
      if (part.has_text()) {
        out.parts.emplace_back(part.text());
      } else {
        out.parts.emplace_back(from_proto(part_of(message, part.tokens())));
      }
    }
  }
  prompt.options = from_proto(message->options());
  prompt.adapters = from_proto(part_of(message, message->adapters()));
  for (const std::string& tool : message->tools())
    prompt.tools.push_back(parse_json(tool, "prompt.tools"));
  if (message->has_pointing()) {
    prompt.pointing.emplace();
    for (const v1::TextRange& cell : message->pointing().cells()) {
      prompt.pointing->cells.push_back({cell.begin(), cell.end()});
    }
  }
  validate(prompt);
  return prompt;
}

void to_proto(const TextDelta& delta, v1::TextDelta* message) {
  message->Clear();
  message->set_sequence(delta.sequence);
  message->set_text(valid_utf8(delta.text));
  message->set_last(delta.last);
  message->set_finish(delta.finish == FinishReason::kStop     ? v1::FINISH_REASON_STOP
                      : delta.finish == FinishReason::kLength ? v1::FINISH_REASON_LENGTH
                                                              : v1::FINISH_REASON_UNSPECIFIED);
  message->set_prompt_tokens(delta.prompt_tokens);
  message->set_generated_tokens(delta.generated_tokens);
  message->set_cached_tokens(delta.cached_tokens);
  if (!delta.pointed) return;
  v1::Pointed* pointed = message->mutable_pointed();
  pointed->mutable_rows()->Assign(delta.pointed->rows.begin(), delta.pointed->rows.end());
  pointed->set_confidence(delta.pointed->confidence);
}

TextDelta from_proto(const v1::TextDelta& message) {
  TextDelta delta;
  delta.sequence = message.sequence();
  delta.text = message.text();
  delta.last = message.last();
  if (message.finish() == v1::FINISH_REASON_STOP) delta.finish = FinishReason::kStop;
  if (message.finish() == v1::FINISH_REASON_LENGTH) delta.finish = FinishReason::kLength;
  delta.prompt_tokens = message.prompt_tokens();
  delta.generated_tokens = message.generated_tokens();
  delta.cached_tokens = message.cached_tokens();
  check_number(static_cast<double>(delta.sequence), "delta.sequence");
  check_number(static_cast<double>(delta.prompt_tokens), "delta.prompt_tokens");
  check_number(static_cast<double>(delta.generated_tokens), "delta.generated_tokens");
  check_number(static_cast<double>(delta.cached_tokens), "delta.cached_tokens");
  if (message.has_pointed()) {
    const auto& rows = message.pointed().rows();
    delta.pointed = Pointed{{rows.begin(), rows.end()}, message.pointed().confidence()};
    check_number(delta.pointed->confidence, "delta.pointed.confidence");
    for (const int64_t row : rows) check_number(static_cast<double>(row), "delta.pointed.rows");
  }
  return delta;
}

}  // namespace lv::services
