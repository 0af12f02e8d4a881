#include "services/tasks/lookup.h"

#include <catch2/catch.hpp>

namespace lv::services {
namespace {

/// A cell in column `column` of row `row`.
vision::PageCell at(const std::string& text, int32_t row, int column, float height = 0.02F) {
  const float x = 0.1F + 0.2F * static_cast<float>(column), y = 0.05F * static_cast<float>(row);
  return {text, {x, y, x + 0.15F, y + height}, row};
}

std::vector<ReadPage> form() {
  return {{0,
           1,
           {at("Order form", 0, 1, 0.04F), at("Phone", 1, 0), at("726 627", 1, 1),
            at("Date of birth", 2, 0), at("13 June 2024", 2, 1), at("City: Quito", 3, 0),
            at("See overleaf", 4, 0)}}};
}

std::vector<ReadPage> table() {
  return {
      {0,
       1,
       {at("City", 0, 0), at("2021", 0, 1), at("2022", 0, 2), at("Berlin", 1, 0), at("751", 1, 1),
        at("908", 1, 2), at("Prague", 2, 0), at("787", 2, 1), at("46", 2, 2)}}};
}

}  // namespace

TEST_CASE("what stands right of a label is its value") {
  CHECK(look_up("What is written under phone?", form()) == "726 627");
  CHECK(look_up("What is the date of birth?", form()) == "13 June 2024");
}

TEST_CASE("what stands behind a colon is the value of what stands before it") {
  CHECK(look_up("Which city is it?", form()) == "Quito");
}

TEST_CASE("a row and a column meet in a cell, and a cell leads to its row's label") {
  CHECK(look_up("What is the value of Prague in 2022?", table()) == "46");
  CHECK(look_up("What is the value of Berlin in 2021?", table()) == "751");
  CHECK(look_up("Which city had 46 in 2022?", table()) == "Prague");
}

TEST_CASE("the largest writing is the title unless a cell is called so") {
  CHECK(look_up("What is the title of the form?", form()) == "Order form");
  std::vector<ReadPage> pages = form();
  pages[0].cells.push_back(at("Title", 5, 0));
  pages[0].cells.push_back(at("Dr.", 5, 1));
  CHECK(look_up("What is the title?", pages) == "Dr.");
  CHECK(look_up("What is the title?", table()) == std::nullopt);  // nothing stands out
}

TEST_CASE("the page that has the question's words is read, wherever it is") {
  const std::vector<ReadPage> pages = {table()[0], form()[0]};
  CHECK(look_up("What is the phone number?", pages) == "726 627");
}

TEST_CASE("what the pages do not speak of is not found") {
  CHECK(look_up("What is the flight number?", form()) == std::nullopt);
  CHECK(look_up("Wie lautet die Telefonnummer?", form()) == std::nullopt);
  CHECK(look_up("What is it?", form()) == std::nullopt);
  CHECK(look_up("What is the date?", {}) == std::nullopt);
  // One word of three is too little.
  CHECK(look_up("What is the licence plate of the red phone booth?", form()) == std::nullopt);
}

}  // namespace lv::services
