#include "pipeline/nn/rope_frequencies.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

double positive(const RopeSettings& settings, const char* key) {
  const double value = settings.keys.at(key).as_double();
  check(std::isfinite(value) && value > 0, ErrorCode::kInvalidArgument,
        "rope " + settings.kind + ": " + key + ": expected more than 0, got " +
            std::to_string(value));
  return value;
}

double positive(const RopeSettings& settings, const char* key, double fallback) {
  const Json* found = settings.keys.find(key);
  return found == nullptr || found->is_null() ? fallback : positive(settings, key);
}

/// theta^(-2j / Dr)
at::Tensor base_frequencies(double theta, int64_t rotary_size) {
  at::Tensor inverse = at::empty({rotary_size / 2}, at::kDouble);
  for (int64_t j = 0; j < rotary_size / 2; ++j) {
    inverse.data_ptr<double>()[j] =
        std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(rotary_size));
  }
  return inverse;
}

at::Tensor base_frequencies(const RopeSettings& settings) {
  return base_frequencies(settings.theta, settings.rotary_size);
}

/// The base that stretches the slowest pair by `stretch` and leaves the fastest alone.
double stretched_theta(const RopeSettings& settings, double stretch) {
  const auto d = static_cast<double>(settings.rotary_size);
  check(d > 2, ErrorCode::kInvalidArgument,
        "rope " + settings.kind + ": expected more than 2 rotated dimensions");
  return settings.theta * std::pow(stretch, d / (d - 2));
}

/// Applies `f(frequency, index)` to each.
template <class F>
at::Tensor mapped(const RopeSettings& settings, F f) {
  at::Tensor inverse = base_frequencies(settings);
  double* out = inverse.data_ptr<double>();
  for (int64_t j = 0; j < inverse.numel(); ++j) out[j] = f(out[j], j);
  return inverse;
}

RopeFrequencies plain(const RopeSettings& settings, int64_t) {
  return {base_frequencies(settings)};
}

RopeFrequencies linear(const RopeSettings& settings, int64_t) {
  return {base_frequencies(settings) / positive(settings, "factor")};
}

RopeFrequencies dynamic(const RopeSettings& settings, int64_t length) {
  const double factor = positive(settings, "factor");
  const auto limit = static_cast<double>(settings.max_positions);
  const double n = std::max(static_cast<double>(length), limit);
  const double stretch = factor * n / limit - (factor - 1);
  return {base_frequencies(stretched_theta(settings, stretch), settings.rotary_size)};
}

RopeFrequencies ntk(const RopeSettings& settings, int64_t) {
  const double theta = stretched_theta(settings, positive(settings, "factor"));
  return {base_frequencies(theta, settings.rotary_size)};
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

double yarn_attention_factor(const RopeSettings& settings, double factor) {
  const double given = positive(settings, "attention_factor", 0);
  if (given > 0) return given;
  const double mscale = settings.keys.get("mscale", 0.0);
  const double all = settings.keys.get("mscale_all_dim", 0.0);
  if (mscale != 0 && all != 0) return yarn_scale(factor, mscale) / yarn_scale(factor, all);
  return yarn_scale(factor, 1);
}

RopeFrequencies yarn(const RopeSettings& settings, int64_t) {
  const double original = positive(settings, "original_max_position_embeddings");
  const double factor =
      positive(settings, "factor", static_cast<double>(settings.max_positions) / original);
  check(settings.theta > 1, ErrorCode::kInvalidArgument, "rope yarn: rope_theta: expected above 1");
  const auto d = static_cast<double>(settings.rotary_size);
  // The pair that turns `turns` times within the trained length.
  const auto pair_of = [&](double turns) {
    return d * std::log(original / (turns * kTurn)) / (2 * std::log(settings.theta));
  };
  double low = pair_of(positive(settings, "beta_fast", 32));
  double high = pair_of(positive(settings, "beta_slow", 1));
  if (settings.keys.get("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  const auto blend = [&](double f, int64_t j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    return f / factor * ramp + f * (1 - ramp);
  };
  return {mapped(settings, blend), yarn_attention_factor(settings, factor)};
}

RopeFrequencies llama3(const RopeSettings& settings, int64_t) {
  const double original = positive(settings, "original_max_position_embeddings");
  const double factor = positive(settings, "factor");
  const double low = positive(settings, "low_freq_factor");
  const double high = positive(settings, "high_freq_factor");
  check(high > low, ErrorCode::kInvalidArgument,
        "rope llama3: high_freq_factor: expected more than low_freq_factor");
  const auto bend = [&](double f, int64_t) {
    const double wavelength = kTurn / f;
    if (wavelength < original / high) return f;
    if (wavelength > original / low) return f / factor;
    const double t = (original / wavelength - low) / (high - low);
    return (1 - t) * f / factor + t * f;
  };
  return {mapped(settings, bend)};
}

RopeFrequencies longrope(const RopeSettings& settings, int64_t length) {
  const double original = positive(settings, "original_max_position_embeddings");
  const double factor =
      positive(settings, "factor", static_cast<double>(settings.max_positions) / original);
  const char* key = static_cast<double>(length) > original ? "long_factor" : "short_factor";
  const Json::Array& stretch = settings.keys.at(key).as_array();
  check(static_cast<int64_t>(stretch.size()) == settings.rotary_size / 2,
        ErrorCode::kInvalidArgument,
        std::string("rope longrope: ") + key + ": expected " +
            std::to_string(settings.rotary_size / 2) + " numbers, got " +
            std::to_string(stretch.size()));
  const auto divide = [&](double f, int64_t j) {
    const double by = stretch[static_cast<size_t>(j)].as_double();
    check(std::isfinite(by) && by > 0, ErrorCode::kInvalidArgument,
          std::string("rope longrope: ") + key + ": expected numbers above 0");
    return f / by;
  };
  const double usual = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
  return {mapped(settings, divide), positive(settings, "attention_factor", usual)};
}

RopeFrequencies giraffe(const RopeSettings& settings, int64_t) {
  const double factor = positive(settings, "factor", 1);
  const double power = settings.keys.get("power", 0.0);
  const double trained = positive(settings, "trained_length", 0);
  const double full_turn = trained > 0 ? kTurn / trained : 0;
  const auto half = static_cast<double>(settings.rotary_size) / 2;
  const auto bend = [&](double f, int64_t j) {
    f = f / factor * std::pow(1 - static_cast<double>(j) / half, power);
    if (trained <= 0 || f >= full_turn) return f;
    return f >= full_turn / 8 ? full_turn / 16 : 0.0;
  };
  return {mapped(settings, bend)};
}

struct Policy {
  const char* kind;
  RopeFrequencies (*frequencies)(const RopeSettings&, int64_t);
  bool depends_on_length;
};

constexpr Policy kPolicies[] = {
    {"default", plain, false},    {"linear", linear, false},   {"dynamic", dynamic, true},
    {"ntk", ntk, false},          {"yarn", yarn, false},       {"llama3", llama3, false},
    {"longrope", longrope, true}, {"giraffe", giraffe, false},
};

const Policy& policy_of(const std::string& kind) {
  for (const Policy& policy : kPolicies) {
    if (policy.kind == kind) return policy;
  }
  throw Error(ErrorCode::kNotFound,
              "rope '" + kind + "': not known; there are " + joined_text(rope_kinds()));
}

}  // namespace

namespace {

void read_sections(RopeSettings& settings) {
  if (settings.kind == "mrope") settings.kind = "default";  // as older files name it
  const Json* sections = settings.keys.find("mrope_section");
  if (sections == nullptr || sections->is_null()) return;
  check(!settings.keys.get("mrope_interleaved", false), ErrorCode::kUnimplemented,
        "mrope_interleaved: expected false, got true");
  int64_t pairs = 0;
  for (const Json& section : sections->as_array()) {
    settings.sections.push_back(section.as_int());
    check(
        settings.sections.back() >= 0 && settings.sections.back() <= settings.rotary_size,
        ErrorCode::kInvalidArgument,
        "mrope_section: expected pairs of a head, got " + std::to_string(settings.sections.back()));
    pairs += settings.sections.back();
  }
  check(settings.sections.size() == 3 && pairs == settings.rotary_size / 2,
        ErrorCode::kInvalidArgument,
        "mrope_section: expected three numbers that add up to " +
            std::to_string(settings.rotary_size / 2) + ", got " + sections->dump());
}

}  // namespace

RopeSettings rope_settings(const Json& config, int64_t head_size) {
  RopeSettings settings;
  settings.max_positions = config.get("max_position_embeddings", 2048);
  check(settings.max_positions > 0, ErrorCode::kInvalidArgument,
        "max_position_embeddings: expected at least 1, got " +
            std::to_string(settings.max_positions));
  settings.theta = config.get("rope_theta", 10000.0);
  double share = config.get("partial_rotary_factor", 1.0);
  for (const char* place : {"rope_scaling", "rope_parameters"}) {
    const Json* found = config.find(place);
    if (found == nullptr || found->is_null()) continue;
    check(found->is_object(), ErrorCode::kInvalidArgument,
          std::string(place) + ": expected an object");
    settings.keys = *found;
    settings.kind = found->get("rope_type", found->get("type", "default").c_str());
    settings.theta = found->get("rope_theta", settings.theta);
    share = found->get("partial_rotary_factor", share);
  }
  const Json* original = config.find("original_max_position_embeddings");
  if (original != nullptr && settings.keys.is_object() &&
      settings.keys.find("original_max_position_embeddings") == nullptr) {
    settings.keys.set("original_max_position_embeddings", *original);
  }
  check(std::isfinite(settings.theta) && settings.theta > 0, ErrorCode::kInvalidArgument,
        "rope_theta: expected more than 0, got " + std::to_string(settings.theta));
  check(share > 0 && share <= 1, ErrorCode::kInvalidArgument,
        "partial_rotary_factor: expected more than 0, at most 1");
  settings.rotary_size = static_cast<int64_t>(static_cast<double>(head_size) * share);
  check(settings.rotary_size > 0 && settings.rotary_size % 2 == 0, ErrorCode::kInvalidArgument,
        "rope: expected an even number of rotated dimensions, got " +
            std::to_string(settings.rotary_size));
  read_sections(settings);
  policy_of(settings.kind);
  return settings;
}

namespace {

/// The longest text that a policy has one set of frequencies for.
double kept_positions(const RopeSettings& settings) {
  if (settings.kind == "longrope") return positive(settings, "original_max_position_embeddings");
  return static_cast<double>(settings.max_positions);
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeSettings& settings, int64_t length) {
  RopeFrequencies result = policy_of(settings.kind).frequencies(settings, length);
  const std::string type = settings.keys.get("rounded_to", "float32");
  const bool anew =
      depends_on_length(settings) && static_cast<double>(length) > kept_positions(settings);
  if (type == "float32" || anew) return result;
  check(type == "bfloat16" || type == "float16", ErrorCode::kInvalidArgument,
        "rope: rounded_to: expected float32, float16 or bfloat16, got " + type);
  const at::ScalarType narrow = type == "float16" ? at::kHalf : at::kBFloat16;
  result.inverse = result.inverse.to(at::kFloat).to(narrow).to(at::kDouble);
  return result;
}

bool depends_on_length(const RopeSettings& settings) {
  return policy_of(settings.kind).depends_on_length;
}

std::vector<std::string> rope_kinds() {
  std::vector<std::string> kinds;
  for (const Policy& policy : kPolicies) kinds.emplace_back(policy.kind);
  return kinds;
}

}  // namespace lv
