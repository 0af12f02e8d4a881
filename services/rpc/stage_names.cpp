#include <algorithm>

#include "pipeline/base/error.h"
#include "pipeline/base/params.h"
#include "services/stages.h"

namespace lv::services {

const std::vector<std::string>& stage_names() {
  static const std::vector<std::string> names{"decode", "listen", "encode", "compress", "generate"};
  return names;
}

void check_stage_name(const std::string& name) {
  const auto& names = stage_names();
  check(std::find(names.begin(), names.end(), name) != names.end(), ErrorCode::kInvalidArgument,
        "stage '" + name + "': not known; there are decode, listen, encode, compress, generate");
}

SamplingRule FilmManner::chosen(const SamplingRule& asked) const {
  if (!std::holds_alternative<UsualFrames>(asked)) return asked;
  return frames ? SamplingRule(*frames) : SamplingRule(UniformFrames());
}

std::string compression_text(const std::vector<CompressionSpec>& specs) {
  std::string text;
  for (const CompressionSpec& spec : specs) {
    text += (text.empty() ? "" : "+") + spec.method;
    char before = ':';
    for (const auto& [key, value] : spec.params) {
      text += before + key + "=" + value;
      before = ',';
    }
  }
  return text;
}

std::vector<CompressionSpec> parse_compression(const std::string& text) {
  std::vector<CompressionSpec> specs;
  for (size_t at = 0; at <= text.size();) {
    const size_t plus = std::min(text.find('+', at), text.size());
    const std::string entry = text.substr(at, plus - at);
    at = plus + 1;
    const size_t colon = std::min(entry.find(':'), entry.size());
    check(colon > 0, ErrorCode::kInvalidArgument,
          "compression '" + text + "': expected NAME[:key=value,...], more behind +");
    CompressionSpec spec{entry.substr(0, colon), {}};
    if (colon < entry.size()) spec.params = Params::parse(entry.substr(colon + 1)).values();
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::map<std::string, std::string> parse_upstream(const std::string& text) {
  std::map<std::string, std::string> addresses;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string entry = text.substr(at, comma - at);
    at = comma + 1;
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) {
      for (const std::string& name : stage_names()) addresses.try_emplace(name, entry);
      check(!entry.empty(), ErrorCode::kInvalidArgument,
            "upstream: expected name=host:port, got nothing");
      continue;
    }
    const std::string name = entry.substr(0, equals);
    check_stage_name(name);
    addresses[name] = entry.substr(equals + 1);
  }
  return addresses;
}

}  // namespace lv::services
