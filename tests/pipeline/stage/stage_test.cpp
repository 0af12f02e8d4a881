#include "pipeline/stage/stage.h"

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/stage/sources.h"

namespace lv {
namespace {

class Doubled : public MapStage<int, int> {
 public:
  int map(int x) const override { return 2 * x; }
};

class Spelled : public MapStage<int, std::string> {
 public:
  std::string map(int x) const override { return std::to_string(x); }
};

/// Sums of pairs: what a run remembers lives in its source.
class PairSums : public Stage<int, int> {
 public:
  SourcePtr<int> start(SourcePtr<int> input) const override {
    class Sums : public Source<int> {
     public:
      explicit Sums(SourcePtr<int> from) : from_(std::move(from)) {}
      std::optional<int> next() override {
        const auto first = from_->next();
        if (!first) return std::nullopt;
        return *first + from_->next().value_or(0);
      }

     private:
      SourcePtr<int> from_;
    };
    return std::make_unique<Sums>(std::move(input));
  }
};

/// Counts how often it is pulled, without end.
class Counting : public Source<int> {
 public:
  explicit Counting(int& pulls) : pulls_(pulls) {}
  std::optional<int> next() override { return pulls_++; }

 private:
  int& pulls_;
};

}  // namespace

TEST_CASE("a map stage maps each value and ends with its input") {
  const Doubled stage;
  const auto source = stage.start(source_of<int>({1, 2, 3}));
  CHECK(collect(*source) == std::vector<int>{2, 4, 6});
  CHECK_FALSE(source->next().has_value());
}

TEST_CASE("then runs the first stage before the second") {
  const auto stage =
      then<int, int, std::string>(std::make_shared<Doubled>(), std::make_shared<Spelled>());
  CHECK(collect(*stage->start(source_of<int>({1, 20}))) == std::vector<std::string>{"2", "40"});
}

TEST_CASE("then keeps its stages alive") {
  StagePtr<int, int> both;
  {
    const StagePtr<int, int> first = std::make_shared<Doubled>();
    const StagePtr<int, int> second = std::make_shared<PairSums>();
    both = then<int, int, int>(first, second);
  }
  CHECK(collect(*both->start(source_of<int>({1, 2, 3}))) == std::vector<int>{6, 6});
}

TEST_CASE("runs of one stage do not see each other") {
  const PairSums stage;
  const auto a = stage.start(source_of<int>({1, 2, 3, 4}));
  const auto b = stage.start(source_of<int>({10, 20}));
  CHECK(*a->next() == 3);
  CHECK(*b->next() == 30);
  CHECK(*a->next() == 7);
}

TEST_CASE("a stage pulls no more than it is asked for") {
  int pulls = 0;
  const Doubled stage;
  const auto source = stage.start(std::make_unique<Counting>(pulls));
  CHECK(pulls == 0);
  CHECK(*source->next() == 0);
  CHECK(*source->next() == 2);
  CHECK(pulls == 2);
}

TEST_CASE("sources of nothing end at once") {
  CHECK(collect(*source_of<int>({})).empty());
  CHECK(collect(*source_of_one<int>(5)) == std::vector<int>{5});
}

}  // namespace lv
