#include "llm/tokenizer/added_tokens.h"

#include <algorithm>

#include "llm/tokenizer/unicode.h"

namespace lv::llm {
namespace {

bool only_white_space(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (!is_white_space(next_character(text, i))) return false;
  }
  return true;
}

/// The start of the character that ends before `end`.
size_t character_before(std::string_view text, size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

bool word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t i = character_before(text, at);
  return is_word(next_character(text, i));
}

bool word_at(std::string_view text, size_t at) {
  return at < text.size() && is_word(next_character(text, at));
}

size_t skip_space_back(std::string_view text, size_t at) {
  while (at > 0) {
    const size_t begin = character_before(text, at);
    size_t i = begin;
    if (!is_white_space(next_character(text, i))) break;
    at = begin;
  }
  return at;
}

size_t skip_space(std::string_view text, size_t at) {
  for (size_t i = at; i < text.size(); at = i) {
    if (!is_white_space(next_character(text, i))) break;
  }
  return at;
}

}  // namespace

std::vector<int64_t> special_ids(const std::vector<AddedToken>& added) {
  std::vector<int64_t> ids;
  for (const AddedToken& token : added) {
    if (token.special) ids.push_back(token.id);
  }
  return ids;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens,
                                   const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    plain_.push_back(!tokens_[i].special && only_white_space(contents[i]));
    if (!contents[i].empty()) trie_.add(contents[i], static_cast<int32_t>(i));
  }
}

AddedTokenFinder::Match AddedTokenFinder::match_at(const MarkedText& text, size_t begin) const {
  Match best;
  bool allowed = true;
  int32_t node = ByteTrie::kRoot;
  for (size_t end = begin; end < text.text.size();) {
    allowed = allowed && text.allowed[end] != 0;
    node = trie_.child(node, text.text[end++]);
    if (node < 0) break;
    const int32_t index = trie_.value(node);
    if (index < 0 || !(allowed || plain_[static_cast<size_t>(index)])) continue;
    best = {&tokens_[static_cast<size_t>(index)], end};
  }
  return best;
}

std::vector<Section> AddedTokenFinder::split(const MarkedText& text) const {
  std::vector<Section> sections;
  size_t done = 0;
  for (size_t at = 0; !empty() && at < text.text.size();) {
    const auto [token, match_end] = match_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = match_end;
    at = end;
    if (token->single_word && (word_before(text.text, begin) || word_at(text.text, end))) continue;
    if (token->lstrip) begin = std::max(done, skip_space_back(text.text, begin));
    if (token->rstrip) end = skip_space(text.text, end);
    if (done < begin) sections.push_back({done, begin, -1});
    sections.push_back({begin, end, token->id});
    done = end;
  }
  if (done < text.text.size()) sections.push_back({done, text.text.size(), -1});
  return sections;
}

}  // namespace lv::llm
