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
  for (const PicturePiece& piece : write(tokens_of(all), {})) {
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

/// The pieces as one text, the marks of LEOPARD by their numbers.
std::string numbered(const std::vector<Token>& all, const PictureLayout& layout,
                     const PictureSurroundings& around = {}) {
  std::string text;
  int64_t next = 0;
  for (const PicturePiece& piece : layout.write(tokens_of(all), around)) {
    text += piece.text;
    if (!piece.text.empty()) continue;
    CHECK(piece.first == next);
    next = piece.last;
    text += std::string(static_cast<size_t>(piece.last - piece.first), '*');
  }
  CHECK(next == static_cast<int64_t>(all.size()));
  for (size_t at; (at = text.find("<|reserved_special_token_")) != std::string::npos;) {
    text.replace(at, 25, "<").erase(text.find("|>", at), 1);
  }
  return text;
}

PictureLayout leopard(const std::string& keys) {
  return picture_layout("LeopardLlavaForConditionalGeneration", parse_json(keys, "keys"));
}

TEST_CASE("LEOPARD's pictures are numbered through the prompt, the whole before its tiles") {
  const PictureLayout layout = leopard("{}");
  CHECK(layout.mark == "<|reserved_special_token_195|>");
  CHECK(numbered({{0, 0, 0}, {0, 1, 1}, {0, 1, 2}}, layout) == "image 1: <20>***<21>");
  CHECK(numbered({{0, 0, 0}, {0, 0, 0, kObserved, 1}, {0, 1, 1, kObserved, 1}}, layout, {3}) ==
        "image 4: <20>*<21>image 5: <20>**<21>");
  // Tiles that begin again are another picture.
  CHECK(numbered({{0, 0, 0}, {0, 2, 1}, {0, 0, 0}}, layout) ==
        "image 1: <20>**<21>image 2: <20>*<21>");
  CHECK(numbered({}, layout) == "");
}

TEST_CASE("LEOPARD's training marked the end of each tile, the whole last") {
  const PictureLayout layout = leopard(R"({"tile_order": "tiles_first", "tile_separators": true})");
  CHECK(layout.mark == "<|reserved_special_token_247|>");
  CHECK(numbered({{0, 1, 1}, {0, 1, 2}, {0, 0, 0}, {1, 0, 0}}, layout) ==
        "image 1: <20>*<22>*<23>*<21>image 2: <20>*<21>");
  CHECK(numbered({{0, 1, 1}, {0, 1, 2}, {0, 0, 0}}, leopard(R"({"tile_order": "tiles_first"})")) ==
        "image 1: <20>***<21>");
  CHECK_THROWS_WITH(leopard(R"({"tile_order": "random"})"), Catch::Contains("tile_order"));
  CHECK_THROWS_WITH(leopard(R"({"tile_separators": true})"), Catch::Contains("tile_separators"));
}

TEST_CASE("Idefics2's pictures share a border where they meet, and keep words apart") {
  CHECK(picture_layout("Idefics2ForConditionalGeneration").write == write_bordered);
  const auto bordered = [](const std::vector<Token>& all, const PictureSurroundings& around) {
    std::string text;
    for (const PicturePiece& piece : write_bordered(tokens_of(all), around)) {
      text += piece.text.empty() ? std::string(static_cast<size_t>(piece.last - piece.first), '*')
                                 : "F" + piece.text.substr(25);
    }
    return text;
  };
  CHECK(bordered({{0, 0, 0}, {0, 0, 0}}, {0, false, " What"}) == "F**F");
  CHECK(bordered({{0, 0, 0}}, {0, false, "What"}) == "F*F ");
  CHECK(bordered({{0, 0, 0}}, {0, false, "<end_of_utterance>"}) == "F*F");
  CHECK(bordered({{0, 0, 0}}, {0, true, ""}) == "*F");
  CHECK(bordered({{0, 1, 1}, {0, 1, 2}, {0, 2, 1}, {0, 2, 2}, {0, 0, 0}}, {}) == "F*F*F*F*F*F");
  CHECK(bordered({{0, 0, 0}, {0, 0, 0, kObserved, 1}}, {}) == "F*F*F");
  CHECK(bordered({}, {}) == "");
}

TEST_CASE("a film's frames are counted in words") {
  const auto frames = [](int64_t count) {
    const std::string text = count_frames(count, 0);
    const std::string before = "You are provided the following series of ";
    return text.substr(before.size(), text.find(" frames from a 0:00:00") - before.size());
  };
  CHECK(frames(1) == "one");
  CHECK(frames(13) == "thirteen");
  CHECK(frames(40) == "forty");
  CHECK(frames(64) == "sixty-four");
  CHECK(frames(300) == "three hundred");
  CHECK(frames(768) == "seven hundred and sixty-eight");
  CHECK(frames(4096) == "four thousand and ninety-six");
  CHECK(frames(5100) == "five thousand, one hundred");
  CHECK(count_frames(2, 3725.9).ends_with("from a 1:02:05 [H:MM:SS] video.\n"));
  CHECK(count_frames(2, 90061).ends_with("from a 1 day, 1:01:01 [H:MM:SS] video.\n"));
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

TEST_CASE("AuroraCap's frames have a space between them") {
  CHECK(picture_layout("AuroraForConditionalGeneration").write == write_spaced);
  const auto pieces = write_spaced(tokens_of({{0, 0, 0}, {0, 0, 0}, {1, 0, 0}}));
  REQUIRE(pieces.size() == 3);
  CHECK((pieces[0].first == 0 && pieces[0].last == 2));
  CHECK(pieces[1].text == " ");
  CHECK((pieces[2].first == 2 && pieces[2].last == 3));
}

TEST_CASE("Qwen2.5-VL's pictures end before the next begins") {
  CHECK(picture_layout("Qwen2_5_VLForConditionalGeneration").mark == "<|image_pad|>");
  const auto pieces = write_apart(tokens_of({{0, 0, 0}, {0, 0, 0}, {0, 0, 0, kObserved, 1}}));
  REQUIRE(pieces.size() == 3);
  CHECK((pieces[0].first == 0 && pieces[0].last == 2));
  CHECK(pieces[1].text == "<|vision_end|><|vision_start|>");
  CHECK((pieces[2].first == 2 && pieces[2].last == 3));
  // A film's frames stand together.
  const auto film = write_apart(tokens_of({{0, 0, 0}, {1, 0, 0}, {2, 0, 0}}));
  REQUIRE(film.size() == 1);
  CHECK((film[0].first == 0 && film[0].last == 3));
}

}  // namespace lv::llm
