#include "llm/tokenizer/token_model.h"

#include "pipeline/base/error.h"

namespace lv::llm {

constexpr int64_t kMaxTokens = 1 << 23;

void Vocabulary::add(std::string token, int64_t id) {
  check(id >= 0 && id < kMaxTokens, ErrorCode::kInvalidArgument,
        "vocabulary: expected ids in [0, " + std::to_string(kMaxTokens) + "), got " +
            std::to_string(id));
  if (id >= size()) tokens_.resize(static_cast<size_t>(id) + 1);
  const auto [entry, fresh] = ids_.emplace(std::move(token), static_cast<int32_t>(id));
  const std::string*& slot = tokens_[static_cast<size_t>(id)];
  check(fresh && slot == nullptr, ErrorCode::kInvalidArgument,
        "vocabulary: '" + entry->first + "' (id " + std::to_string(id) + ") is there twice");
  slot = &entry->first;
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  const auto it = ids_.find(token);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const std::string* Vocabulary::token(int64_t id) const {
  return id >= 0 && id < size() ? tokens_[static_cast<size_t>(id)] : nullptr;
}

std::vector<bool> marked_ids(const std::vector<int64_t>& ids, int64_t size) {
  std::vector<bool> marked(static_cast<size_t>(size));
  for (const int64_t id : ids) {
    if (id >= 0 && id < size) marked[static_cast<size_t>(id)] = true;
  }
  return marked;
}

std::vector<int32_t> byte_tokens(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids(256, -1);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    ids[static_cast<size_t>(byte)] = vocabulary.find(name).value_or(-1);
  }
  return ids;
}

bool append_bytes(std::string_view bytes, const std::vector<int32_t>& byte_ids,
                  std::vector<int64_t>& ids) {
  const size_t before = ids.size();
  for (const char c : bytes) {
    const int32_t id = byte_ids[static_cast<unsigned char>(c)];
    if (id < 0) {
      ids.resize(before);
      return false;
    }
    ids.push_back(id);
  }
  return true;
}

}  // namespace lv::llm
