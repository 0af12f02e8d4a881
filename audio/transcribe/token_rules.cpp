#include "audio/transcribe/token_rules.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::audio {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

/// The ids listed under `key`, or none. Files write -1 for "the usual ones", which is no id.
std::vector<int64_t> ids_under(const Json& config, const char* key, int64_t size) {
  std::vector<int64_t> ids;
  const Json* list = config.find(key);
  if (list == nullptr || list->is_null()) return ids;
  for (const Json& entry : list->as_array()) {
    const int64_t id = entry.as_int();
    check(id >= -1 && id < size, ErrorCode::kInvalidArgument,
          std::string(key) + ": expected ids below " + std::to_string(size) + ", got " +
              std::to_string(id));
    if (id >= 0) ids.push_back(id);
  }
  return ids;
}

/// Forbids the ids [first, last).
void forbid(const at::Tensor& logits, int64_t first, int64_t last) {
  if (first < last) logits.slice(0, first, last).fill_(kNever);
}

}  // namespace

SuppressedTokens read_suppressed_tokens(const std::string& folder, const Json& config,
                                        const Vocabulary& vocabulary) {
  const std::string path = folder + "/generation_config.json";
  const Json generation = optional_json_file(path, 64 << 20);
  const auto read = [&](const char* key) {
    return ids_under(generation.find(key) != nullptr ? generation : config, key, vocabulary.size());
  };
  const std::vector<int64_t> listed = read("suppress_tokens");
  std::set<int64_t> always(listed.begin(), listed.end());
  always.insert(vocabulary.unspeakable().begin(), vocabulary.unspeakable().end());
  always.insert(vocabulary.no_timestamps());
  return {{always.begin(), always.end()}, read("begin_suppress_tokens")};
}

TokenRules::TokenRules(const Vocabulary& vocabulary, SuppressedTokens suppressed,
                       double max_initial_timestamp_seconds)
    : vocabulary_(vocabulary),
      always_(at::tensor(suppressed.always, at::kLong)),
      at_start_(at::tensor(suppressed.at_start, at::kLong)),
      last_initial_(vocabulary.first_timestamp() + std::llround(max_initial_timestamp_seconds /
                                                                Vocabulary::kSecondsPerTimestamp)) {
}

void TokenRules::apply(const at::Tensor& logits, std::span<const int64_t> said) const {
  check_shape(logits, "logits", {vocabulary_.size()});
  logits.index_fill_(0, always_, kNever);
  if (said.empty()) logits.index_fill_(0, at_start_, kNever);
  apply_timestamps(logits, said);

  const int64_t first = vocabulary_.first_timestamp();
  const at::Tensor text = logits.slice(0, 0, first);
  const float all_timestamps = at::logsumexp(logits.slice(0, first), 0).item<float>();
  if (all_timestamps > text.max().item<float>()) text.fill_(kNever);
}

void TokenRules::apply_timestamps(const at::Tensor& logits, std::span<const int64_t> said) const {
  const int64_t first = vocabulary_.first_timestamp();
  const int64_t size = vocabulary_.size();
  if (said.empty()) {
    forbid(logits, 0, first);
    forbid(logits, std::min(last_initial_ + 1, size), size);
    return;
  }
  const bool after_timestamp = vocabulary_.is_timestamp(said.back());
  const bool after_pair =  // or after the first of all, which opens
      after_timestamp && (said.size() == 1 || vocabulary_.is_timestamp(said[said.size() - 2]));
  if (after_pair) {
    forbid(logits, first, size);
    return;
  }
  if (after_timestamp) forbid(logits, 0, vocabulary_.end());
  const auto latest = std::find_if(said.rbegin(), said.rend(),
                                   [&](int64_t id) { return vocabulary_.is_timestamp(id); });
  if (latest == said.rend()) return;
  forbid(logits, first, after_timestamp ? *latest : *latest + 1);
}

}  // namespace lv::audio
