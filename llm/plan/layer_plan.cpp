#include "llm/plan/layer_plan.h"

#include <initializer_list>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

void check_keys(const Json& value, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const auto& [key, member] : value.as_object()) {
    bool found = false;
    std::string names;
    for (const std::string_view name : known) {
      found = found || key == name;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    check(found, ErrorCode::kInvalidArgument,
          where + ": '" + key + "' is not known; there are " + names);
  }
}

void check_name(const std::string& name, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const std::string_view other : known) {
    if (name == other) return;
  }
  std::string names;
  for (const std::string_view other : known)
    names += (names.empty() ? "" : ", ") + std::string(other);
  throw Error(ErrorCode::kInvalidArgument,
              where + ": '" + name + "' is not known; there are " + names);
}

LayerChoice parse_layer(const Json& layer, const std::string& where) {
  check_keys(layer, where, {"mixer", "span", "kv"});
  check_name(layer.get("mixer", "attention"), where + ".mixer", {"attention", "attn"});
  if (const Json* kv = layer.find("kv")) {
    check_keys(*kv, where + ".kv", {"format"});
    check_name(kv->get("format", "dense"), where + ".kv.format", {"dense"});
  }
  LayerChoice choice;
  const Json* span = layer.find("span");
  if (span == nullptr) return choice;
  check_keys(*span, where + ".span", {"kind", "size", "sinks"});
  const std::string kind = span->at("kind").as_string();
  check_name(kind, where + ".span.kind", {"full", "window"});
  choice.span = kind == "full" ? Span::kFull : Span::kWindow;
  if (choice.span == Span::kWindow) {
    choice.window = span->at("size").as_int();
    check(choice.window > 0, ErrorCode::kInvalidArgument,
          where + ".span.size: expected at least 1, got " + std::to_string(choice.window));
    choice.sinks = span->get("sinks", 0);
    check(choice.sinks >= 0, ErrorCode::kInvalidArgument,
          where + ".span.sinks: expected 0 or more, got " + std::to_string(choice.sinks));
  }
  return choice;
}

/// The plan's short names become those of Hugging Face configurations.
Json parse_rope(const Json& rope) {
  Json settings;
  for (const auto& [key, value] : rope.as_object()) {
    if (key == "kind") {
      settings.set("rope_type", value.as_string());
    } else if (key == "orig") {
      settings.set("original_max_position_embeddings", value);
    } else if (key == "theta") {
      settings.set("rope_theta", value);
    } else {
      settings.set(key, value);
    }
  }
  check(settings.find("rope_type") != nullptr, ErrorCode::kInvalidArgument,
        "plan.rope: expected a kind");
  return settings;
}

}  // namespace

LayerPlan parse_plan(const Json& plan) {
  check(plan.is_object(), ErrorCode::kInvalidArgument, "plan: expected an object");
  check_keys(plan, "plan", {"layers", "rope", "context"});
  LayerPlan result;
  if (const Json* layers = plan.find("layers")) {
    for (const Json& layer : layers->as_array()) {
      const std::string where = "plan.layers[" + std::to_string(result.layers.size()) + "]";
      result.layers.push_back(parse_layer(layer, where));
    }
  }
  if (const Json* rope = plan.find("rope")) result.rope = parse_rope(*rope);
  if (const Json* context = plan.find("context")) {
    result.context_tokens = context->as_int();
    check(result.context_tokens > 0, ErrorCode::kInvalidArgument,
          "plan.context: expected at least 1, got " + std::to_string(result.context_tokens));
  }
  return result;
}

LayerChoice choice_for(const LayerPlan& plan, int64_t layer, int64_t count) {
  const auto given = static_cast<int64_t>(plan.layers.size());
  if (given == 0) return {};
  check(given == 1 || given == count, ErrorCode::kInvalidArgument,
        "plan.layers: expected 1 or " + std::to_string(count) + " layers, got " +
            std::to_string(given));
  return plan.layers[static_cast<size_t>(given == 1 ? 0 : layer)];
}

Json planned_config(const LayerPlan& plan, const Json& config) {
  if (!plan.rope) return config;
  Json result = config;
  Json settings = *plan.rope;
  const Json* own = config.find("rope_parameters");
  const Json* theta = own != nullptr ? own->find("rope_theta") : nullptr;
  if (settings.find("rope_theta") == nullptr && theta != nullptr) {
    settings.set("rope_theta", *theta);
  }
  result.set("rope_scaling", nullptr);
  result.set("rope_parameters", settings);
  return result;
}

}  // namespace lv::llm
