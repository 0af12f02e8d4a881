#include "services/tasks/retrieval.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace lv::services {
namespace {

/// A page whose rows are single cells.
ReadPage page_of(int32_t number, const std::vector<std::string>& rows) {
  ReadPage page{0, number, {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    page.cells.push_back({rows[i], {}, static_cast<int32_t>(i)});
  }
  return page;
}

}  // namespace

TEST_CASE("words are compared without case, marks and a plural's s") {
  CHECK(terms_of("How many Clocks, 1,503.48?") ==
        std::vector<std::string>{"how", "many", "clock", "1", "503", "48"});
  CHECK(terms_of("glass is gas Größe") == std::vector<std::string>{"glass", "is", "gas", "größe"});
  CHECK(terms_of(" .,- ").empty());
}

TEST_CASE("bm25 is its formula") {
  // Two texts of 2 and 4 words, so 3 in the mean; "red" is in one of them, "car" in both.
  const std::vector<double> scores = bm25("red car?", {"red car", "car car bus stop"});
  const double red = std::log(1 + 1.5 / 1.5), car = std::log(1 + 0.5 / 2.5);
  const double short_norm = 1.2 * (0.25 + 0.75 * 2 / 3), long_norm = 1.2 * (0.25 + 0.75 * 4 / 3);
  CHECK(scores[0] == Approx((red + car) * 2.2 / (1 + short_norm)));
  CHECK(scores[1] == Approx(car * 2 * 2.2 / (2 + long_norm)));
  CHECK(bm25("boat", {"red car", ""}) == std::vector<double>{0, 0});
  CHECK(bm25("boat", {}).empty());
}

TEST_CASE("a digit, a mark and four letters are about a token") {
  CHECK(about_tokens("") == 0);
  CHECK(about_tokens("word") == 1);
  CHECK(about_tokens("words 42, a") == 6);
}

TEST_CASE("what fits is told whole") {
  const std::vector<ReadPage> pages = {page_of(1, {"a", "b"}), page_of(2, {}), page_of(3, {"c"})};
  CHECK(most_telling(pages, "x?", 100).size() == 3);
}

TEST_CASE("of a long document the rows near the question's words are told") {
  std::vector<ReadPage> pages;
  for (int32_t number = 1; number <= 50; ++number) {
    pages.push_back(page_of(
        number, {"Chapter " + std::to_string(number), "nothing to see here", "and nothing there"}));
  }
  pages[30].cells[1].text = "The harbour opened in 1874";
  const auto told = most_telling(pages, "When did the harbour open?", 40);
  REQUIRE(told.size() == 1);
  CHECK(told[0].number == 31);
  REQUIRE(told[0].cells.size() == 3);  // with its neighbours
  CHECK(told[0].cells[1].text == "The harbour opened in 1874");
}

TEST_CASE("a question without a word of the text gets the text's beginning") {
  std::vector<ReadPage> pages;
  for (int32_t number = 1; number <= 9; ++number) pages.push_back(page_of(number, {"some words"}));
  const auto told = most_telling(pages, "Wie lautet die Nummer?", 10);
  REQUIRE(told.size() == 2);
  CHECK(told[0].number == 1);
  CHECK(told[1].number == 2);
}

TEST_CASE("no more is told than was asked for, and in the page's order") {
  std::vector<std::string> rows;
  for (int i = 0; i < 200; ++i) rows.push_back("row of words " + std::to_string(i));
  for (const int64_t most : {1, 30, 100, 500}) {
    int64_t tokens = 0;
    int32_t before = -1;
    for (const ReadPage& page : most_telling({page_of(1, rows)}, "row", most)) {
      for (const vision::PageCell& cell : page.cells) {
        tokens += about_tokens(cell.text);
        CHECK(cell.row > before);
        before = cell.row;
      }
    }
    CHECK(tokens <= most);
    CHECK((tokens > 0 || most < 10));
  }
}

}  // namespace lv::services
