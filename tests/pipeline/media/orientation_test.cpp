#include "pipeline/media/orientation.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <vector>

#include "pipeline/media/warnings.h"

namespace lv {
namespace {

/// A display matrix with the upper left part a b, c d.
std::vector<int32_t> matrix(int a, int b, int c, int d) {
  constexpr int32_t kOne = 1 << 16;
  return {a * kOne, b * kOne, 0, c * kOne, d * kOne, 0, 0, 0, 1 << 30};
}

}  // namespace

TEST_CASE("display matrices become EXIF's orientations") {
  CHECK(orientation_of_matrix(nullptr) == 1);
  CHECK(orientation_of_matrix(matrix(1, 0, 0, 1).data()) == 1);
  CHECK(orientation_of_matrix(matrix(-1, 0, 0, 1).data()) == 2);
  CHECK(orientation_of_matrix(matrix(-1, 0, 0, -1).data()) == 3);
  CHECK(orientation_of_matrix(matrix(1, 0, 0, -1).data()) == 4);
  CHECK(orientation_of_matrix(matrix(0, 1, 1, 0).data()) == 5);
  CHECK(orientation_of_matrix(matrix(0, 1, -1, 0).data()) == 6);  // a telephone held upright
  CHECK(orientation_of_matrix(matrix(0, -1, -1, 0).data()) == 7);
  CHECK(orientation_of_matrix(matrix(0, -1, 1, 0).data()) == 8);
}

TEST_CASE("each orientation shows the stored picture as EXIF says") {
  // 1 2 3
  // 4 5 6
  const at::Tensor stored = at::arange(1, 7).view({2, 3, 1});
  const std::vector<std::vector<int64_t>> rows{
      {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
      {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    const at::Tensor shown = turn(stored, orientation);
    CHECK(shown.size(0) == (swaps_sides(orientation) ? 3 : 2));
    CHECK(at::equal(shown.reshape({6}), at::tensor(rows[static_cast<size_t>(orientation) - 1])));
  }
}

TEST_CASE("warnings that differ in numbers only come once, and not too many") {
  Warnings warnings("clip.mp4");
  warnings.add("error at block 1 2");
  warnings.add("error at block 30 4");
  warnings.add("other");
  CHECK(warnings.take() ==
        std::vector<std::string>{"clip.mp4: error at block 1 2", "clip.mp4: other"});
  CHECK(warnings.take().empty());
  for (char c = 'a'; c <= 'z'; ++c) warnings.add(std::string(3, c));
  const std::vector<std::string> rest = warnings.take();
  CHECK(rest.size() == 15);
  CHECK(rest.back() == "clip.mp4: more went wrong, left out here");
  CHECK(warnings.first() == "error at block 1 2");
}

}  // namespace lv
