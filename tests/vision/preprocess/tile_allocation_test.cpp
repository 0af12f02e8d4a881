#include "vision/preprocess/tile_allocation.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

constexpr int64_t kSide = 364, kBudget = 50, kTokens = 169;

struct Set {
  std::vector<PictureSize> pictures;  // width first here, as they are written
  std::vector<int64_t> allowed;
  std::vector<std::pair<int, int>> grids;  // rows, columns; 0, 0 for none
  int64_t tiles, tokens;                   // of all, wholes included
};

std::vector<PictureSize> sides(std::vector<std::pair<int64_t, int64_t>> width_height) {
  std::vector<PictureSize> all;
  for (const auto& [width, height] : width_height) all.push_back({height, width});
  return all;
}

template <class T>
std::vector<T> times(size_t count, T value) {
  return std::vector<T>(count, value);
}

}  // namespace

TEST_CASE("tiles are shared by sides, halves rounded to the even number") {
  using Sides = std::pair<int64_t, int64_t>;
  using Grid = std::pair<int, int>;
  const std::vector<Set> sets = {
      {sides({{1700, 2200}}), {30}, {{6, 5}}, 31, 5239},
      {sides(times<Sides>(2, {1700, 2200})), {24, 24}, times<Grid>(2, {6, 4}), 50, 8450},
      {sides(times<Sides>(5, {1700, 2200})), times<int64_t>(5, 9), times<Grid>(5, {3, 3}), 50,
       8450},
      {sides(times<Sides>(20, {1700, 2200})), times<int64_t>(20, 1), times<Grid>(20, {0, 0}), 20,
       3380},
      {sides({{364, 364}, {728, 364}, {546, 546}, {910, 910}}),
       {0, 2, 4, 4},
       {{0, 0}, {1, 2}, {2, 2}, {2, 2}},
       14,
       2366},
      {sides(times<Sides>(3, {1280, 720})), times<int64_t>(3, 8), times<Grid>(3, {2, 4}), 27, 4563},
      {sides({{400, 2000}}), {5}, {{5, 1}}, 6, 1014},
      {sides({{100, 1000}}), {0}, {{0, 0}}, 1, 169},
      {sides({{640, 480}, {1920, 1080}, {3000, 200}}),
       {2, 15, 8},
       {{1, 2}, {3, 5}, {1, 8}},
       28,
       4732}};
  for (const Set& set : sets) {
    const std::vector<int64_t> allowed = allocate_tiles(set.pictures, kSide, kBudget);
    CHECK(allowed == set.allowed);
    int64_t tiles = 0;
    for (size_t i = 0; i < set.pictures.size(); ++i) {
      const PatchGrid grid = tile_grid(set.pictures[i], allowed.at(i), kSide);
      CHECK(std::pair(grid.rows, grid.columns) ==
            std::pair(set.grids[i].first, set.grids[i].second));
      tiles += 1 + static_cast<int64_t>(grid.rows) * grid.columns;
    }
    CHECK(tiles == set.tiles);
    CHECK(tiles * kTokens == set.tokens);
  }
}

TEST_CASE("sets of any sizes stay within the budget") {
  uint32_t state = 7;
  const auto drawn = [&state](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return static_cast<int64_t>((state >> 8) % below) + 1;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<PictureSize> pictures(static_cast<size_t>(drawn(kBudget)));
    for (PictureSize& picture : pictures) picture = {drawn(4000), drawn(4000)};
    const std::vector<int64_t> allowed = allocate_tiles(pictures, kSide, kBudget);
    int64_t tiles = 0;
    for (size_t i = 0; i < pictures.size(); ++i) {
      const PatchGrid grid = tile_grid(pictures[i], allowed[i], kSide);
      CHECK(static_cast<int64_t>(grid.rows) * grid.columns <= allowed[i]);
      CHECK((grid.rows == 0) == (allowed[i] < 2));
      tiles += 1 + static_cast<int64_t>(grid.rows) * grid.columns;
    }
    CHECK(tiles <= kBudget);
  }
}

TEST_CASE("a budget that the whole pictures use up leaves no tiles, more pictures are refused") {
  std::vector<PictureSize> pictures(kBudget, {2200, 1700});
  CHECK(allocate_tiles(pictures, kSide, kBudget) == std::vector<int64_t>(kBudget, 0));
  pictures.push_back({10, 10});
  CHECK_THROWS_WITH(allocate_tiles(pictures, kSide, kBudget),
                    "pictures: expected at most 50 in one request, got 51");
}

}  // namespace lv::vision
