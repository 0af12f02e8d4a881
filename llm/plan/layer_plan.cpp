#include "llm/plan/layer_plan.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "llm/plan/check_keys.h"
#include "llm/retain/retention.h"
#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv::llm {
namespace {

void check_name(const std::string& name, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const std::string_view other : known) {
    if (name == other) return;
  }
  throw Error(ErrorCode::kInvalidArgument,
              where + ": '" + name + "' is not known; there are " + joined_text(known));
}

int64_t count_of(const Json& value, const char* key, int64_t fallback, int64_t least,
                 const std::string& where) {
  const int64_t count = fallback < 0 ? value.at(key).as_int() : value.get(key, fallback);
  check(count >= least, ErrorCode::kInvalidArgument,
        where + "." + key + ": expected at least " + std::to_string(least) + ", got " +
            std::to_string(count));
  return count;
}

LayerChoice parse_window(const Json& value, const char* size, const std::string& where) {
  return {{KeySpan{count_of(value, size, -1, 1, where), count_of(value, "sinks", 0, 0, where)}}};
}

LayerChoice parse_heads(const Json& alphas, const Json& betas, int64_t sinks,
                        const std::string& where) {
  check(alphas.as_array().size() == betas.as_array().size() && !alphas.as_array().empty(),
        ErrorCode::kInvalidArgument, where + ": expected an alpha and a beta for each head");
  LayerChoice choice;
  for (size_t i = 0; i < alphas.as_array().size(); ++i) {
    const ElasticSpan span{alphas.as_array()[i].as_double(), betas.as_array()[i].as_double(),
                           sinks};
    check(std::abs(span.alpha) < 1e9 && span.beta >= 0 && span.beta <= 1,
          ErrorCode::kInvalidArgument, where + ": expected alphas in tokens and betas from 0 to 1");
    choice.spans.emplace_back(span);
  }
  return choice;
}

LayerChoice parse_span(const Json& span, const std::string& where) {
  const std::string kind = span.at("kind").as_string();
  check_name(kind, where + ".kind", {"full", "window", "per_head"});
  if (kind == "full") {
    check_keys(span, where, {"kind"});
    return {{KeySpan{}}};
  }
  if (kind == "window") {
    check_keys(span, where, {"kind", "size", "sinks"});
    return parse_window(span, "size", where);
  }
  check_keys(span, where, {"kind", "alpha", "beta", "sinks"});
  return parse_heads(span.at("alpha"), span.at("beta"), count_of(span, "sinks", 64, 0, where),
                     where);
}

std::optional<KiviFormat> parse_format(const Json& kv, const std::string& where) {
  const std::string name = kv.get("format", "dense");
  check_name(name, where + ".format", {"dense", "kivi"});
  if (name == "dense") {
    check_keys(kv, where, {"format"});
    return std::nullopt;
  }
  check_keys(kv, where, {"format", "bits", "group", "residual"});
  KiviFormat format;
  format.bits = kv.get("bits", format.bits);
  format.group = kv.get("group", format.group);
  format.residual = kv.get("residual", format.residual);
  check_kivi(format, format.group, where);
  return format;
}

LayerChoice parse_layer(const Json& layer, const std::string& where) {
  check_keys(layer, where, {"mixer", "span", "kv"});
  check_name(layer.get("mixer", "attention"), where + ".mixer", {"attention", "attn"});
  const Json* span = layer.find("span");
  LayerChoice choice = span == nullptr ? LayerChoice{} : parse_span(*span, where + ".span");
  if (const Json* kv = layer.find("kv")) choice.kivi = parse_format(*kv, where + ".kv");
  return choice;
}

void parse_select(const Json& select, LayerPlan& plan) {
  const std::string where = "plan.select";
  check(plan.layers.empty(), ErrorCode::kInvalidArgument,
        "plan: expected layers or select, got both");
  const std::string kind = select.at("kind").as_string();
  check_name(kind, where + ".kind", {"masformer", "moa"});
  if (kind == "masformer") {
    check_keys(select, where, {"kind", "full", "window", "sinks"});
    plan.layers = {parse_window(select, "window", where)};
    for (const Json& layer : select.at("full").as_array()) {
      plan.exceptions[layer.as_int()] = {{KeySpan{}}};
    }
    return;
  }
  check_keys(select, where, {"kind", "alphas", "betas", "sinks"});
  const auto& alphas = select.at("alphas").as_array();
  const auto& betas = select.at("betas").as_array();
  check(alphas.size() == betas.size() && !alphas.empty(), ErrorCode::kInvalidArgument,
        where + ": expected a row of alphas and of betas for each layer");
  const int64_t sinks = count_of(select, "sinks", 64, 0, where);
  for (size_t i = 0; i < alphas.size(); ++i) {
    plan.layers.push_back(
        parse_heads(alphas[i], betas[i], sinks, where + " layer " + std::to_string(i)));
  }
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
  check_keys(plan, "plan", {"layers", "select", "retain", "rope", "context", "speculate"});
  LayerPlan result;
  if (const Json* layers = plan.find("layers")) {
    for (const Json& layer : layers->as_array()) {
      const std::string where = "plan.layers[" + std::to_string(result.layers.size()) + "]";
      result.layers.push_back(parse_layer(layer, where));
    }
  }
  if (const Json* select = plan.find("select")) parse_select(*select, result);
  if (const Json* rope = plan.find("rope")) result.rope = parse_rope(*rope);
  if (const Json* retain = plan.find("retain")) {
    make_retention(*retain);
    result.retain = *retain;
  }
  if (const Json* speculate = plan.find("speculate")) {
    check_keys(*speculate, "plan.speculate", {"kind", "tokens"});
    check_name(speculate->at("kind").as_string(), "plan.speculate.kind", {"ngram"});
    result.draft_tokens = count_of(*speculate, "tokens", 4, 1, "plan.speculate");
  }
  if (const Json* context = plan.find("context")) {
    result.context_tokens = context->as_int();
    check(result.context_tokens > 0, ErrorCode::kInvalidArgument,
          "plan.context: expected at least 1, got " + std::to_string(result.context_tokens));
  }
  return result;
}

LayerPlan read_plan(const std::string& path) {
  constexpr int64_t kLargestFile = 16 << 20;
  const Json plan = read_json_file(path, kLargestFile);
  try {
    return parse_plan(plan);
  } catch (const Error& error) {
    throw Error(error.code(), path + ": " + error.what());
  }
}

LayerChoice choice_for(const LayerPlan& plan, int64_t layer, int64_t count) {
  const auto given = static_cast<int64_t>(plan.layers.size());
  if (given == 0) return {};
  check(given == 1 || given == count, ErrorCode::kInvalidArgument,
        "plan.layers: expected 1 or " + std::to_string(count) + " layers, got " +
            std::to_string(given));
  for (const auto& [exception, choice] : plan.exceptions) {
    check(exception >= 0 && exception < count, ErrorCode::kInvalidArgument,
          "plan: expected layers from 0 to " + std::to_string(count - 1) + ", got " +
              std::to_string(exception));
  }
  const auto exception = plan.exceptions.find(layer);
  if (exception != plan.exceptions.end()) return exception->second;
  return plan.layers[static_cast<size_t>(given == 1 ? 0 : layer)];
}

std::vector<SpanRule> spans_by_key_head(const LayerChoice& choice, int64_t heads,
                                        int64_t kv_heads) {
  const auto given = static_cast<int64_t>(choice.spans.size());
  if (given <= 1 || given == kv_heads) return choice.spans;
  check(given == heads, ErrorCode::kInvalidArgument,
        "plan: expected a span for each of " + std::to_string(heads) + " heads or " +
            std::to_string(kv_heads) + " heads of keys, got " + std::to_string(given));
  std::vector<SpanRule> spans;
  const auto group = static_cast<size_t>(heads / kv_heads);
  for (size_t first = 0; first < choice.spans.size(); first += group) {
    ElasticSpan widest = std::get<ElasticSpan>(choice.spans[first]);
    for (size_t i = first + 1; i < first + group; ++i) {
      const ElasticSpan& other = std::get<ElasticSpan>(choice.spans[i]);
      widest.alpha = std::max(widest.alpha, other.alpha);
      widest.beta = std::max(widest.beta, other.beta);
    }
    spans.emplace_back(widest);
  }
  return spans;
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
