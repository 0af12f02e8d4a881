#include "services/tasks/evidence.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "services/tasks/result.h"
#include "services/tasks/retrieval.h"

namespace lv::services {
namespace {

constexpr std::array<float, 4> kPlace = {0.1F, 0.2F, 0.3F, 0.4F};

/// Two pages of a document and a picture.
std::vector<ReadPage> pages() {
  return {{0,
           1,
           {{"Item", {}, 0},
            {"Price", {}, 0},
            {"Pens", {}, 1},
            {"44", kPlace, 1},
            {"Cups", {}, 2},
            {"44", {}, 2},
            {"We will answer in full by 3", {}, 3},
            {"May 2021.", {}, 4}}},
          {0, 2, {{"Invoice number: D-55662", {}, 0}, {"Northwind", {}, 1}}},
          {1, 0, {{"EXIT", {}, 0}}}};
}

std::vector<Evidence> found(const std::string& answer, const std::string& question = "?") {
  TaskResult result;
  result.transcript = {{1, 2, "Turn left here."}};
  result.screen_text = {{3, 4, "Road closed", kPlace}};
  return evidence_for(answer, question, pages(), result);
}

TEST_CASE("what a model points at is a box at the time of the first") {
  TokenOrigin tokens = no_origin();
  tokens.pts_seconds = at::tensor({0.0, 0.5, 0.5, 0.5}, at::kDouble);
  tokens.source = at::tensor({0, 1, 1, 0}, at::kInt);
  tokens.box = at::tensor({0.0F, 0.0F, 0.5F, 0.5F, 0.5F, 0.5F, 1.0F, 1.0F, 0.0F, 0.5F, 0.5F, 0.75F,
                           0.0F, 0.0F, 1.0F, 1.0F})
                   .view({4, 4});
  const auto shown = evidence_shown({{1, 3, 2, 0, 9}, 0.25}, tokens);
  REQUIRE(shown);
  CHECK(shown->source == 1);
  CHECK(shown->kind == EvidenceKind::kBox);
  CHECK(shown->start_seconds == 0.5);
  CHECK(*shown->box == std::array{0.0F, 0.5F, 1.0F, 1.0F});
  CHECK(shown->score == 0.25);
  CHECK(!evidence_shown({{4, -1}, 1}, tokens));
}

}  // namespace

TEST_CASE("evidence is the cell that an answer quotes") {
  const auto number = found("D-55662", "What is the invoice's number?");
  REQUIRE(number.size() == 1);
  CHECK(number[0].quote == "Invoice number: D-55662");
  CHECK(number[0].kind == EvidenceKind::kBox);
  CHECK(number[0].page == 2);
  CHECK(number[0].source == 0);
  CHECK(number[0].score == 1);
  CHECK(found("northwind.").at(0).quote == "Northwind");
}

TEST_CASE("of several equal cells the one in the question's row is meant") {
  const auto pens = found("44", "What is the price of the pens?");
  REQUIRE(pens.size() == 1);
  CHECK(pens[0].box == kPlace);
  CHECK(found("44", "What is the price of the cups?").at(0).box != kPlace);
}

TEST_CASE("the words around an answer are no reason to look elsewhere") {
  CHECK(found("The price of the pens is 44.", "What is the price of the pens?").at(0).box ==
        kPlace);
  CHECK(found("It is the Northwind company", "Which company is it?").at(0).quote == "Northwind");
}

TEST_CASE("an answer over two lines points at the one that has most of it") {
  const auto date = found("3 May 2021", "By when?");
  REQUIRE(date.size() == 1);
  CHECK(date[0].quote == "May 2021.");
  CHECK(date[0].score == Approx(2 / 3.0));
}

TEST_CASE("an answer that joins cells points at each") {
  const auto joined = found("Northwind, EXIT, Item", "What?");
  REQUIRE(joined.size() == 3);
  CHECK(joined[0].quote == "Item");
  CHECK(joined[2].source == 1);
  CHECK(!joined[2].page);
}

TEST_CASE("what was said or shown for a while is evidence with a time") {
  const auto said = found("turn left");
  REQUIRE(said.size() == 1);
  CHECK(said[0].kind == EvidenceKind::kTime);
  CHECK(said[0].start_seconds == 1);
  CHECK(said[0].end_seconds == 2);
  CHECK(!said[0].box);
  CHECK(found("Road closed").at(0).box == kPlace);
}

TEST_CASE("an answer that quotes nothing has no evidence") {
  CHECK(found("a green dog").empty());
  CHECK(found(kNotFound).empty());
  CHECK(found("").empty());
  CHECK(found("...").empty());
}

}  // namespace lv::services
