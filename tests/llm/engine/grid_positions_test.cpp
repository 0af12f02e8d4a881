#include "llm/engine/grid_positions.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "llm/models/packed_batch.h"

namespace lv::llm {
namespace {

TextTokens text(int64_t count) { return {at::zeros({count}, at::kLong)}; }

/// Pictures of rows x columns places each, one second apart.
CompressedTokens pictures(int64_t count, int64_t rows, int64_t columns) {
  std::vector<at::Tensor> boxes;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      boxes.push_back(
          at::tensor({static_cast<float>(c) / columns, static_cast<float>(r) / rows,
                      static_cast<float>(c + 1) / columns, static_cast<float>(r + 1) / rows}));
    }
  }
  const int64_t each = rows * columns;
  CompressedTokens tokens;
  tokens.embeddings = at::zeros({count * each, 2});
  tokens.origin.pts_seconds = at::arange(count, at::kDouble).repeat_interleave(each);
  tokens.origin.source = at::zeros({count * each}, at::kInt);
  tokens.origin.box = at::stack(boxes).repeat({count, 1});
  return tokens;
}

std::vector<int64_t> axis(const at::Tensor& positions, int64_t which) {
  const at::Tensor one = positions.select(1, which).contiguous();
  return {one.const_data_ptr<int64_t>(), one.const_data_ptr<int64_t>() + one.numel()};
}

using Numbers = std::vector<int64_t>;

}  // namespace

TEST_CASE("a picture's tokens share a time and count rows and columns from there") {
  TokenSequence sequence;
  sequence.segments = {text(2), pictures(1, 2, 3), text(2)};
  const at::Tensor positions = grid_positions(sequence);
  CHECK(axis(positions, 0) == Numbers{0, 1, 2, 2, 2, 2, 2, 2, 5, 6});
  CHECK(axis(positions, 1) == Numbers{0, 1, 2, 2, 2, 3, 3, 3, 5, 6});
  CHECK(axis(positions, 2) == Numbers{0, 1, 2, 3, 4, 2, 3, 4, 5, 6});
}

TEST_CASE("each source is a picture behind the one before") {
  CompressedTokens tokens = pictures(2, 3, 1);
  tokens.origin.source = at::tensor({0, 0, 0, 1, 1, 1}, at::kInt);
  TokenSequence sequence;
  sequence.segments = {tokens};
  const at::Tensor positions = grid_positions(sequence);
  CHECK(axis(positions, 0) == Numbers{0, 0, 0, 3, 3, 3});
  CHECK(axis(positions, 1) == Numbers{0, 1, 2, 3, 4, 5});
  CHECK(axis(positions, 2) == Numbers{0, 0, 0, 3, 3, 3});
}

TEST_CASE("frames of a film share rows and columns and are apart in time") {
  TokenSequence sequence;
  sequence.segments = {text(1), pictures(3, 1, 2), text(1)};
  const at::Tensor positions = grid_positions(sequence, 2);
  CHECK(axis(positions, 0) == Numbers{0, 1, 1, 3, 3, 5, 5, 3});
  CHECK(axis(positions, 1) == Numbers{0, 1, 1, 1, 1, 1, 1, 3});
  CHECK(axis(positions, 2) == Numbers{0, 1, 2, 1, 2, 1, 2, 3});
}

TEST_CASE("frames that are left out leave a gap, and steps need not be exact") {
  CompressedTokens tokens = pictures(5, 1, 1);
  tokens.origin.pts_seconds = at::tensor({0., 0.52, 1., 2.5, 2.98}, at::kDouble);
  TokenSequence sequence;
  sequence.segments = {tokens};
  CHECK(axis(grid_positions(sequence, 4), 0) == Numbers{0, 2, 4, 10, 12});
}

TEST_CASE("a token that stands for several is in their middle") {
  CompressedTokens tokens = pictures(1, 1, 4);
  tokens.embeddings = tokens.embeddings.slice(0, 0, 2);
  tokens.origin.pts_seconds = tokens.origin.pts_seconds.slice(0, 0, 2);
  tokens.origin.source = tokens.origin.source.slice(0, 0, 2);
  tokens.origin.box = at::tensor({0.f, 0.f, .25f, 1.f, .25f, 0.f, 1.f, 1.f}).view({2, 4});
  TokenSequence sequence;
  sequence.segments = {tokens};
  CHECK(axis(grid_positions(sequence), 2) == Numbers{0, 2});
}

TEST_CASE("grids of any size are told from their boxes") {
  const int64_t rows = GENERATE(1, 7, 46, 107), columns = GENERATE(1, 13, 64);
  TokenSequence sequence;
  sequence.segments = {pictures(1, rows, columns)};
  const at::Tensor positions = grid_positions(sequence);
  CHECK(at::equal(positions.select(1, 1), at::arange(rows).repeat_interleave(columns)));
  CHECK(at::equal(positions.select(1, 2), at::arange(columns).repeat({rows})));
}

TEST_CASE("a sequence of nothing has no positions") {
  CHECK(grid_positions({}).sizes() == at::IntArrayRef({0, 3}));
}

TEST_CASE("an answer follows the last row, though a film reaches further in time") {
  const at::Tensor positions = at::tensor({0, 0, 0, 24, 1, 1, 3, 3, 3}, at::kLong).view({3, 3});
  CHECK(position_behind(3, {.positions = positions}) == 4);
  CHECK(position_behind(3, {}) == 3);
  CHECK(position_behind(3, {.positions = positions, .answer_position = 2}) == 2);
}

TEST_CASE("a picture that is worn leaves its place empty") {
  const CompressedTokens nothing{at::empty({0, 8}), at::empty({0}), no_origin(), {}};
  const auto text = [](int64_t count) { return TextTokens{at::zeros({count}, at::kLong)}; };
  TokenSequence sequence;
  CHECK(positions_beside_worn(sequence).sizes() == at::IntArrayRef({0, 1}));
  sequence.segments = {text(3)};
  CHECK(at::equal(positions_beside_worn(sequence).squeeze(1), at::arange(3, at::kLong)));
  sequence.segments = {text(2), nothing, text(3)};
  CHECK(at::equal(positions_beside_worn(sequence).squeeze(1),
                  at::tensor({0, 1, 3, 4, 5}, at::kLong)));
}

}  // namespace lv::llm
