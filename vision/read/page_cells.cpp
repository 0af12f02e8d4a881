#include "vision/read/page_cells.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace lv::vision {
namespace {

constexpr float kGap = 1.2F;  // of a word's height

/// A word in the frame that it is read in: from left to right, from top to bottom. Both axes are in
/// units of the page's height.
struct Placed {
  const PageWord* word = nullptr;
  float left = 0, top = 0, right = 0, bottom = 0;

  float middle() const { return (top + bottom) / 2; }
};

Placed placed(const PageWord& word, float aspect) {
  const auto [x0, y0, x1, y1] = word.box;
  switch (word.turn) {
    case 1:
      return {&word, y0, aspect * (1 - x1), y1, aspect * (1 - x0)};
    case 2:
      return {&word, aspect * (1 - x1), 1 - y1, aspect * (1 - x0), 1 - y0};
    case 3:
      return {&word, 1 - y1, aspect * x0, 1 - y0, aspect * x1};
    default:
      return {&word, aspect * x0, y0, aspect * x1, y1};
  }
}

/// Without line breaks and what surrounds it, so that a row stays a line.
std::string cleaned(const std::string& text) {
  std::string clean;
  for (const unsigned char c : text) {
    if (c > ' ' && c != 0x7F) {
      clean += static_cast<char>(c);
    } else if (!clean.empty() && clean.back() != ' ') {
      clean += ' ';
    }
  }
  while (!clean.empty() && clean.back() == ' ') clean.pop_back();
  return clean;
}

void add_word(PageCell& cell, const PageWord& word) {
  if (cell.text.empty()) cell.box = word.box;
  if (!cell.text.empty()) cell.text += ' ';
  cell.text += cleaned(word.text);
  for (size_t i = 0; i < 2; ++i) {
    cell.box[i] = std::min(cell.box[i], word.box[i]);
    cell.box[i + 2] = std::max(cell.box[i + 2], word.box[i + 2]);
  }
}

void add_row(std::vector<Placed> row, int32_t number, std::vector<PageCell>& cells) {
  std::ranges::stable_sort(row, {}, &Placed::left);
  for (size_t i = 0; i < row.size(); ++i) {
    const bool apart =
        i == 0 || row[i].left - row[i - 1].right > kGap * (row[i - 1].bottom - row[i - 1].top);
    if (apart) cells.push_back({{}, {}, number});
    add_word(cells.back(), *row[i].word);
  }
}

void add_rows(std::vector<Placed> words, int32_t& number, std::vector<PageCell>& cells) {
  std::ranges::stable_sort(words, {}, &Placed::middle);
  std::vector<Placed> row;
  for (const Placed& word : words) {
    if (!row.empty() && !(row.front().top < word.middle() && word.middle() < row.front().bottom)) {
      add_row(std::exchange(row, {}), number++, cells);
    }
    row.push_back(word);
  }
  if (!row.empty()) add_row(std::move(row), number++, cells);
}

}  // namespace

std::vector<PageCell> cells_of(const std::vector<PageWord>& words, double aspect) {
  std::array<std::vector<Placed>, 4> turns;
  for (const PageWord& word : words) {
    if (cleaned(word.text).empty()) continue;
    turns[static_cast<size_t>(word.turn & 3)].push_back(placed(word, static_cast<float>(aspect)));
  }
  std::ranges::stable_sort(turns, std::greater(), &std::vector<Placed>::size);
  std::vector<PageCell> cells;
  int32_t rows = 0;
  for (std::vector<Placed>& turn : turns) add_rows(std::move(turn), rows, cells);
  return cells;
}

std::string text_of(const std::vector<PageCell>& cells) {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) text += cells[i].row == cells[i - 1].row ? " | " : "\n";
    text += cells[i].text;
  }
  return text;
}

}  // namespace lv::vision
