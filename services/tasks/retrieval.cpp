#include "services/tasks/retrieval.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace lv::services {
namespace {

constexpr double kK1 = 1.2;  // how soon repeating a word stops to count
constexpr double kB = 0.75;  // how much long texts are held against
constexpr int kRowsOfPassage = 8;
constexpr int64_t kTokensOfPassage = 160;

bool is_letter(unsigned char c) { return c >= 0x80 || std::isalnum(c) != 0; }

/// Neighbouring rows of a page: its cells first .. last - 1.
struct Passage {
  size_t page = 0;
  size_t first = 0, last = 0;
  std::string text;
  int64_t tokens = 0;
};

/// Passages of at most `most_tokens`, but for single rows that are longer.
std::vector<Passage> passages_of(const std::vector<ReadPage>& pages, int64_t most_tokens) {
  std::vector<Passage> passages;
  for (size_t p = 0; p < pages.size(); ++p) {
    const std::vector<vision::PageCell>& cells = pages[p].cells;
    int32_t rows = 0;
    for (size_t first = 0, last = 0; first < cells.size(); first = last) {
      while (last < cells.size() && cells[last].row == cells[first].row) ++last;
      const std::string row = vision::text_of({cells.begin() + static_cast<int64_t>(first),
                                               cells.begin() + static_cast<int64_t>(last)});
      const int64_t tokens = about_tokens(row) + 1;
      const bool goes_on =
          first > 0 && rows < kRowsOfPassage && passages.back().tokens + tokens <= most_tokens;
      if (!goes_on) {
        passages.push_back({p, first, first, {}, 0});
        rows = 0;
      }
      ++rows;
      passages.back().last = last;
      passages.back().tokens += tokens;
      passages.back().text += row + "\n";
    }
  }
  return passages;
}

/// The places of passages to keep, in their order.
std::vector<size_t> chosen(const std::vector<Passage>& passages, const std::string& question,
                           int64_t most_tokens) {
  std::vector<std::string> texts;
  for (const Passage& passage : passages) texts.push_back(passage.text);
  const std::vector<double> scores = bm25(question, texts);
  const bool any = std::ranges::any_of(scores, [](double score) { return score > 0; });
  std::vector<size_t> order(passages.size()), kept;
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return scores[i]; });
  int64_t tokens = 0;
  for (const size_t i : order) {
    if (any && scores[i] == 0) break;
    if (tokens + passages[i].tokens > most_tokens) continue;
    tokens += passages[i].tokens;
    kept.push_back(i);
  }
  std::ranges::sort(kept);
  return kept;
}

}  // namespace

std::vector<std::string> terms_of(const std::string& text) {
  std::vector<std::string> terms;
  for (size_t at = 0; at < text.size();) {
    if (!is_letter(static_cast<unsigned char>(text[at]))) {
      ++at;
      continue;
    }
    std::string term;
    while (at < text.size() && is_letter(static_cast<unsigned char>(text[at]))) {
      term += static_cast<char>(std::tolower(static_cast<unsigned char>(text[at++])));
    }
    const bool plural = term.size() > 3 && term.back() == 's' && term[term.size() - 2] != 's';
    if (plural) term.pop_back();
    terms.push_back(std::move(term));
  }
  return terms;
}

std::vector<double> bm25(const std::string& question, const std::vector<std::string>& texts) {
  const std::vector<std::string> asked = terms_of(question);
  const std::set<std::string> words(asked.begin(), asked.end());
  std::vector<std::map<std::string, double>> counts(texts.size());  // of the question's words
  std::vector<double> lengths(texts.size()), scores(texts.size());
  std::map<std::string, double> holding;  // texts that hold a word
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<std::string> terms = terms_of(texts[i]);
    lengths[i] = static_cast<double>(terms.size());
    for (const std::string& term : terms) {
      if (words.contains(term) && counts[i][term]++ == 0) ++holding[term];
    }
  }
  const auto count = static_cast<double>(texts.size());
  const double mean =
      std::max(std::accumulate(lengths.begin(), lengths.end(), 0.0), 1.0) / std::max(count, 1.0);
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const auto& [term, times] : counts[i]) {
      const double rarity = std::log(1 + (count - holding[term] + 0.5) / (holding[term] + 0.5));
      scores[i] += rarity * times * (kK1 + 1) / (times + kK1 * (1 - kB + kB * lengths[i] / mean));
    }
  }
  return scores;
}

int64_t about_tokens(const std::string& text) {
  int64_t tokens = 0;
  int run = 0;  // letters since the last token began
  for (const unsigned char c : text) {
    const bool letter = c >= 0x80 || std::isalpha(c) != 0;
    if (letter ? run % 4 == 0 : c > ' ') ++tokens;
    run = letter ? run + 1 : 0;
  }
  return tokens;
}

std::vector<ReadPage> most_telling(const std::vector<ReadPage>& pages, const std::string& question,
                                   int64_t most_tokens) {
  const std::vector<Passage> passages = passages_of(pages, std::min(kTokensOfPassage, most_tokens));
  const int64_t all =
      std::accumulate(passages.begin(), passages.end(), int64_t{0},
                      [](int64_t sum, const Passage& passage) { return sum + passage.tokens; });
  if (all <= most_tokens) return pages;
  std::vector<ReadPage> kept;
  for (const size_t i : chosen(passages, question, most_tokens)) {
    const Passage& passage = passages[i];
    const ReadPage& page = pages[passage.page];
    if (kept.empty() || kept.back().source != page.source || kept.back().number != page.number) {
      kept.push_back({page.source, page.number, {}});
    }
    kept.back().cells.insert(kept.back().cells.end(),
                             page.cells.begin() + static_cast<int64_t>(passage.first),
                             page.cells.begin() + static_cast<int64_t>(passage.last));
  }
  return kept;
}

}  // namespace lv::services
