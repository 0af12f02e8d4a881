#pragma once

#include <string>
#include <vector>

#include "llm/template/chat_template.h"

namespace lv::llm {

inline constexpr int64_t kNow = 1795392000;  // 2026-11-23

/// From {"role": ..., "content": a string, a list of parts or null, "tool_calls": ...}.
inline Message message_from(const Json& json) {
  Message message{json.at("role").as_string()};
  message.tool_call_id = json.get("tool_call_id", "");
  message.tool_name = json.get("name", "");
  if (const Json* calls = json.find("tool_calls")) {
    for (const Json& call : calls->as_array()) {
      const Json& function = call.at("function");
      message.tool_calls.push_back(
          {call.get("id", ""), function.at("name").as_string(), function.at("arguments")});
    }
  }
  const Json& content = json.at("content");
  if (content.is_string()) message.parts.emplace_back(content.as_string());
  if (!content.is_array()) return message;
  for (const Json& part : content.as_array()) {
    if (part.at("type").as_string() == "text") {
      message.parts.emplace_back(part.at("text").as_string());
    } else {
      message.parts.emplace_back(CompressedTokens{});
    }
  }
  return message;
}

/// The pieces as one text, in which [0], [1], ... are the visual parts.
inline std::string joined(const std::vector<TemplatePiece>& pieces) {
  std::string text;
  for (const TemplatePiece& piece : pieces)
    text += piece.visual < 0 ? piece.text : "[" + std::to_string(piece.visual) + "]";
  return text;
}

}  // namespace lv::llm
