#include "services/tasks/lookup.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace lv::services {
namespace {

using Words = std::set<std::string>;

// How much a word of the question tells of a cell, by where it stands.
constexpr double kLeft = 1.2;  // in the cell left of it
constexpr double kRowBegin =
    1;  // in the first cell of its row, or anywhere in the row of a first cell
constexpr double kRow = 0.3;  // elsewhere in its row
constexpr double kNextAbove = 0.7;
constexpr double kAbove = 0.6;
constexpr double kNextBelow = 0.5;
constexpr double kBeforeColon = 0.9;  // in a cell with a colon
constexpr double kOwn = 0.3;          // in the cell itself

constexpr double kLeastShare = 0.3;   // of the best that a question could score
constexpr double kTitleHeight = 1.2;  // of the middle one of all heights

/// Words that ask, and words that only join others.
const Words& idle_words() {
  static const Words all = {"a",    "an",   "and",   "are",   "as",   "at",    "be",     "by",
                            "did",  "do",   "does",  "for",   "had",  "has",   "have",   "how",
                            "in",   "is",   "it",    "its",   "many", "much",  "of",     "on",
                            "that", "the",  "there", "this",  "to",   "under", "was",    "were",
                            "what", "when", "where", "which", "who",  "with",  "written"};
  return all;
}

/// A cell and the words of the question in it.
struct Entry {
  const vision::PageCell* cell = nullptr;
  Words asked;
  bool only_asked = true;  // it has no other words

  float height() const { return cell->box[3] - cell->box[1]; }
};

std::vector<Entry> entries_of(const ReadPage& page, const Words& question) {
  std::vector<Entry> entries;
  for (const vision::PageCell& cell : page.cells) {
    Entry entry{&cell, {}, true};
    for (const std::string& term : terms_of(cell.text)) {
      if (question.contains(term)) {
        entry.asked.insert(term);
      } else if (!idle_words().contains(term)) {
        entry.only_asked = false;
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool over_one_another(const vision::PageCell& a, const vision::PageCell& b) {
  return a.row != b.row && std::min(a.box[2], b.box[2]) > std::max(a.box[0], b.box[0]);
}

/// How much each of the question's words tells of entry `i`.
std::map<std::string, double> told_of(size_t i, const std::vector<Entry>& entries) {
  std::map<std::string, double> told;
  const auto give = [&told](const Entry& from, double weight) {
    for (const std::string& word : from.asked) told[word] = std::max(told[word], weight);
  };
  const vision::PageCell& cell = *entries[i].cell;
  const Entry* next_above = nullptr;
  const Entry* next_below = nullptr;
  const bool begins = i == 0 || entries[i - 1].cell->row != cell.row;
  bool row_begun = false;
  for (size_t k = 0; k < entries.size(); ++k) {
    const Entry& other = entries[k];
    if (other.cell->row == cell.row) {
      if (k != i) give(other, begins || !row_begun ? kRowBegin : kRow);
      row_begun = true;
    } else if (over_one_another(cell, *other.cell)) {
      const bool above = other.cell->row < cell.row;
      if (above) give(other, kAbove);
      if (above) next_above = &other;
      if (!above && next_below == nullptr) next_below = &other;
    }
  }
  if (!begins) give(entries[i - 1], kLeft);
  if (next_above != nullptr) give(*next_above, kNextAbove);
  if (next_below != nullptr) give(*next_below, kNextBelow);
  const size_t colon = cell.text.find(": ");
  give(entries[i], colon != std::string::npos ? kBeforeColon : kOwn);
  return told;
}

/// The largest writing, if it stands out.
const vision::PageCell* title_of(const std::vector<Entry>& entries) {
  if (entries.empty()) return nullptr;
  std::vector<float> heights;
  for (const Entry& entry : entries) heights.push_back(entry.height());
  std::ranges::sort(heights);
  const float largest = heights.back(), middle = heights[heights.size() / 2];
  if (largest < kTitleHeight * middle) return nullptr;
  return std::ranges::find_if(entries,
                              [&](const Entry& entry) { return entry.height() >= 0.95F * largest; })
      ->cell;
}

/// What stands behind the label in a cell "Label: value" if the question has a word of the label.
std::string value_of(const std::string& text, const Words& question) {
  const size_t colon = text.find(": ");
  if (colon == std::string::npos) return text;
  for (const std::string& term : terms_of(text.substr(0, colon))) {
    if (question.contains(term)) return text.substr(colon + 2);
  }
  return text;
}

/// How rare each word of the question is among all cells; as rare as can be if none has it.
std::map<std::string, double> rarities(const Words& question,
                                       const std::vector<std::vector<Entry>>& pages) {
  std::map<std::string, double> holding;
  double cells = 0;
  for (const std::vector<Entry>& entries : pages) {
    cells += static_cast<double>(entries.size());
    for (const Entry& entry : entries) {
      for (const std::string& word : entry.asked) ++holding[word];
    }
  }
  std::map<std::string, double> rarity;
  for (const std::string& word : question) {
    rarity[word] = std::log(1 + (cells - holding[word] + 0.5) / (holding[word] + 0.5));
  }
  return rarity;
}

}  // namespace

std::optional<std::string> look_up(const std::string& question,
                                   const std::vector<ReadPage>& pages) {
  Words words;
  for (std::string& term : terms_of(question)) {
    if (!idle_words().contains(term)) words.insert(std::move(term));
  }
  std::vector<std::vector<Entry>> all;
  for (const ReadPage& page : pages) all.push_back(entries_of(page, words));
  const std::map<std::string, double> rarity = rarities(words, all);
  double most = 0, best_score = 0;
  for (const auto& [word, weight] : rarity) most += weight;
  const vision::PageCell* best = nullptr;
  bool title_labelled = false;  // some cell says "title" itself
  for (const std::vector<Entry>& entries : all) {
    for (size_t i = 0; i < entries.size(); ++i) {
      title_labelled = title_labelled || entries[i].asked.contains("title");
      if (entries[i].only_asked) continue;
      double score = 0;
      for (const auto& [word, weight] : told_of(i, entries)) score += rarity.at(word) * weight;
      if (score > best_score) {
        best_score = score;
        best = entries[i].cell;
      }
    }
  }
  if (words.contains("title") && !title_labelled && !all.empty()) {
    if (const vision::PageCell* title = title_of(all.front())) return title->text;
  }
  if (best == nullptr || best_score < kLeastShare * most) return std::nullopt;
  return value_of(best->text, words);
}

}  // namespace lv::services
