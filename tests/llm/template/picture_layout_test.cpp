#include "llm/template/picture_layout.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

namespace lv::llm {
namespace {

struct Token {
  double pts_seconds;
  int32_t row, column;
  uint8_t flags = kObserved;
  int32_t source = 0;
};

CompressedTokens tokens_of(const std::vector<Token>& all) {
  const auto count = static_cast<int64_t>(all.size());
  CompressedTokens tokens{at::zeros({count, 1}), at::ones({count}), no_origin(), {}};
  tokens.origin = {at::zeros({count}, at::kDouble), at::zeros({count}, at::kInt),
                   at::zeros({count, 4}), at::zeros({count}, at::kByte),
                   at::zeros({count, 2}, at::kInt)};
  for (int64_t i = 0; i < count; ++i) {
    const Token& token = all[static_cast<size_t>(i)];
    tokens.origin.pts_seconds[i] = token.pts_seconds;
    tokens.origin.source[i] = token.source;
    tokens.origin.flags[i] = token.flags;
    tokens.origin.tile[i][0] = token.row;
    tokens.origin.tile[i][1] = token.column;
  }
  return tokens;
}

/// The pieces as one text: "F" for the border, "*" for a visual token, in short.
std::string written(const std::vector<Token>& all, decltype(write_tiles)* write = write_tiles) {
  std::string text;
  int64_t next = 0;
  for (const PicturePiece& piece : write(tokens_of(all))) {
    text += piece.text;
    if (!piece.text.empty()) continue;
    CHECK(piece.first == next);
    next = piece.last;
    text += std::string(static_cast<size_t>(piece.last - piece.first), '*');
  }
  CHECK(next == static_cast<int64_t>(all.size()));
  for (size_t at; (at = text.find("<fake_token_around_image>")) != std::string::npos;) {
    text.replace(at, 25, "F");
  }
  return text;
}

}  // namespace

TEST_CASE("a picture that was not cut stands between borders") {
  CHECK(written({{0, 0, 0}, {0, 0, 0}}) == "F<global-img>**F");
  CHECK(written({}) == "");
}

TEST_CASE("a picture in tiles is written a row a line, the whole last") {
  CHECK(written({{0, 1, 1}, {0, 1, 2}, {0, 2, 1}, {0, 2, 2}, {0, 0, 0}}) ==
        "F<row_1_col_1>*F<row_1_col_2>*\nF<row_2_col_1>*F<row_2_col_2>*\n\nF<global-img>*F");
}

TEST_CASE("pictures are told apart by time, source and where tiles begin again") {
  CHECK(written({{0, 0, 0}, {1, 0, 0}}) == "F<global-img>*FF<global-img>*F");
  CHECK(written({{0, 0, 0}, {0, 0, 0, kObserved, 1}}) == "F<global-img>*FF<global-img>*F");
  CHECK(written({{0, 1, 1}, {0, 0, 0}, {0, 1, 1}, {0, 0, 0}}) ==
        "F<row_1_col_1>*\n\nF<global-img>*FF<row_1_col_1>*\n\nF<global-img>*F");
}

TEST_CASE("tiles of which nothing is left are left out") {
  CHECK(written({{0, 1, 2}, {0, 3, 1}, {0, 0, 0}}) ==
        "F<row_1_col_2>*\nF<row_3_col_1>*\n\nF<global-img>*F");
  CHECK(written({{0, 1, 1}, {0, 1, 2}}) == "F<row_1_col_1>*F<row_1_col_2>*F");
}

TEST_CASE("tokens of several tiles or pictures stay among those they stand between") {
  const uint8_t spread = kObserved | kMerged | kSpread;
  CHECK(written({{0, 1, 1}, {0.7, 1, 1, spread}, {0, 1, 1}, {0, 0, 0}}) ==
        "F<row_1_col_1>***\n\nF<global-img>*F");
  CHECK(written({{0.5, 1, 1, spread}, {1, 0, 0}, {2, 0, 0}}) == "F<global-img>**FF<global-img>*F");
  CHECK(written({{0.5, 0, 0, spread}, {1.5, 0, 0, spread}}) == "F<global-img>**F");
}

TEST_CASE("frames of a film are written behind their times") {
  CHECK(written({{0.9, 0, 0}, {61, 0, 0}}, write_tiles_or_frames) ==
        "\nFrame from 00:00:F<global-img>*F\nFrame from 01:01:F<global-img>*F\n\n");
  CHECK(written({{3, 0, 0}, {3, 0, 0, kObserved, 1}}, write_tiles_or_frames) ==
        "F<global-img>*FF<global-img>*F");
  CHECK(written({}, write_tiles_or_frames) == "");
}

TEST_CASE("layouts are found by architecture") {
  CHECK(picture_layout("SmolVLMForConditionalGeneration").write == write_tiles_or_frames);
  CHECK(picture_layout("Idefics3ForConditionalGeneration").write == write_tiles);
  CHECK(picture_layout("LlavaForConditionalGeneration").mark == "<image>");
  CHECK_FALSE(picture_layout("LlamaForCausalLM").known());
  const auto pieces = write_plain(tokens_of({{0, 1, 1}, {0, 0, 0}}));
  REQUIRE(pieces.size() == 1);
  CHECK(pieces[0].last == 2);
}

TEST_CASE("Qwen2.5-VL's pictures end before the next begins") {
  CHECK(picture_layout("Qwen2_5_VLForConditionalGeneration").mark == "<|image_pad|>");
  const auto pieces = write_apart(tokens_of({{0, 0, 0}, {0, 0, 0}, {1, 0, 0}}));
  REQUIRE(pieces.size() == 3);
  CHECK((pieces[0].first == 0 && pieces[0].last == 2));
  CHECK(pieces[1].text == "<|vision_end|><|vision_start|>");
  CHECK((pieces[2].first == 2 && pieces[2].last == 3));
}

}  // namespace lv::llm
