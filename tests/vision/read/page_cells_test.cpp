#include "vision/read/page_cells.h"

#include <catch2/catch.hpp>

namespace lv::vision {
namespace {

PageWord word(const std::string& text, float x, float y, float width, int turn = 0) {
  return {text, {x, y, x + width, y + 0.02F}, turn};
}

}  // namespace

TEST_CASE("words side by side are a cell, and a wide gap parts cells of a row") {
  // In any order: a table of two rows, the second a little askew.
  const std::vector<PageWord> words = {
      word("Total", 0.1F, 0.205F, 0.08F), word("Date", 0.1F, 0.1F, 0.06F),
      word("May", 0.54F, 0.1F, 0.05F), word("3", 0.52F, 0.1F, 0.01F),
      word("42.50", 0.5F, 0.2F, 0.08F)};
  const auto cells = cells_of(words, 1);
  REQUIRE(cells.size() == 4);
  CHECK(text_of(cells) == "Date | 3 May\nTotal | 42.50");
  const std::array<float, 4> around = {0.52F, 0.1F, 0.59F, 0.12F};
  for (size_t i = 0; i < 4; ++i) CHECK(cells[1].box[i] == Approx(around[i]));
  CHECK(cells[1].row == 0);
  CHECK(cells[2].row == 1);
}

TEST_CASE("how wide a gap is depends on the page's shape") {
  const std::vector<PageWord> words = {word("a", 0.1F, 0.1F, 0.02F), word("b", 0.14F, 0.1F, 0.02F)};
  CHECK(text_of(cells_of(words, 1)) == "a b");      // 1 of a height
  CHECK(text_of(cells_of(words, 1.5)) == "a | b");  // 1.5 of it
}

TEST_CASE("a page that lies on its side is read as it is written") {
  const std::vector<PageWord> upright = {word("Name", 0.1F, 0.1F, 0.1F),
                                         word("Ada", 0.5F, 0.1F, 0.08F),
                                         word("End", 0.1F, 0.3F, 0.07F)};
  const std::string expected = text_of(cells_of(upright, 1));
  CHECK(expected == "Name | Ada\nEnd");
  for (const int turn : {1, 2, 3}) {
    std::vector<PageWord> turned = upright;
    for (PageWord& each : turned) {
      each.turn = turn;
      for (int i = 0; i < turn; ++i) {  // a quarter clockwise: x' = 1 - y, y' = x
        const auto [x0, y0, x1, y1] = each.box;
        each.box = {1 - y1, x0, 1 - y0, x1};
      }
    }
    CHECK(text_of(cells_of(turned, 1)) == expected);
  }
}

TEST_CASE("what stands at another turn follows in rows of its own") {
  const std::vector<PageWord> words = {word("axis", 0.02F, 0.1F, 0.02F, 3),
                                       word("Sales", 0.1F, 0.1F, 0.1F),
                                       word("2024", 0.21F, 0.1F, 0.1F)};
  const auto cells = cells_of(words, 1);
  CHECK(text_of(cells) == "Sales 2024\naxis");
  CHECK(cells[1].row == 1);
}

TEST_CASE("a row stays a line whatever a word holds") {
  CHECK(text_of(cells_of({word("two\nlines\t ", 0.1F, 0.1F, 0.1F), word(" \n", 0.3F, 0.1F, 0.1F)},
                         1)) == "two lines");
  CHECK(cells_of({}, 1).empty());
}

}  // namespace lv::vision
