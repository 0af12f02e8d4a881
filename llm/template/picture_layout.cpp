#include "llm/template/picture_layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <utility>

namespace lv::llm {
namespace {

constexpr const char* kBorder = "<fake_token_around_image>";

/// The place of a tile in reading order; the whole picture is {0, 0} and comes last.
struct Tile {
  int32_t row = 0, column = 0;
  bool whole() const { return row == 0; }
  std::pair<int32_t, int32_t> order() const {
    return {whole() ? std::numeric_limits<int32_t>::max() : row, column};
  }
};

/// What tells a token's picture and tile.
struct Place {
  double pts_seconds = 0;
  int32_t source = 0;
  Tile tile;
};

/// Rows of one tile.
struct Run {
  Place place;
  bool placed = false;  // false while all of its tokens are spread over several
  bool begins_picture = false;
  int64_t first = 0, last = 0;
};

std::vector<Run> runs_of(const CompressedTokens& tokens) {
  const at::Tensor pts = tokens.origin.pts_seconds.cpu().contiguous();
  const at::Tensor source = tokens.origin.source.cpu().contiguous();
  const at::Tensor flags = tokens.origin.flags.cpu().contiguous();
  const at::Tensor tile = tokens.origin.tile.cpu().contiguous();
  const int32_t* tiles = tile.const_data_ptr<int32_t>();
  std::vector<Run> runs;
  for (int64_t i = 0; i < tokens.embeddings.size(0); ++i) {
    const Place place{pts.const_data_ptr<double>()[i],
                      source.const_data_ptr<int32_t>()[i],
                      {tiles[2 * i], tiles[2 * i + 1]}};
    const bool spread = (flags.const_data_ptr<uint8_t>()[i] & kSpread) != 0;
    if (runs.empty()) runs.push_back({place, !spread, true, 0, 0});
    Run& run = runs.back();
    if (!spread && !run.placed) {
      run.place = place;
      run.placed = true;
    }
    const auto now = run.place.tile.order(), next = place.tile.order();
    const bool other_picture = place.source != run.place.source ||
                               place.pts_seconds != run.place.pts_seconds || next < now;
    if (!spread && (other_picture || next != now)) {
      runs.push_back({place, true, other_picture, i, i});
    }
    runs.back().last = i + 1;
  }
  return runs;
}

std::string minutes_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 5999.0));
  char text[16];
  std::snprintf(text, sizeof text, "%02d:%02d", static_cast<int>(whole / 60),
                static_cast<int>(whole % 60));
  return text;
}

/// The runs with their borders; with the time before each picture if they are a film's frames.
std::vector<PicturePiece> written(const std::vector<Run>& runs, bool film) {
  std::vector<PicturePiece> pieces;
  std::string text;
  int32_t row = 0;  // of the tile before, in the same picture
  for (const Run& run : runs) {
    const Tile& tile = run.place.tile;
    if (run.begins_picture) {
      if (!pieces.empty()) text += kBorder;
      if (film) text += "\nFrame from " + minutes_text(run.place.pts_seconds) + ":";
      row = 0;
    }
    if (row != 0 && tile.row != row) text += "\n";
    if (row != 0 && tile.whole()) text += "\n";
    text += kBorder;
    text += tile.whole()
                ? "<global-img>"
                : "<row_" + std::to_string(tile.row) + "_col_" + std::to_string(tile.column) + ">";
    pieces.push_back({std::exchange(text, {})});
    pieces.push_back({"", run.first, run.last});
    row = tile.row;
  }
  if (!pieces.empty()) pieces.push_back({film ? std::string(kBorder) + "\n\n" : kBorder});
  return pieces;
}

}  // namespace

std::vector<PicturePiece> write_plain(const CompressedTokens& tokens) {
  return {{"", 0, tokens.embeddings.size(0)}};
}

std::vector<PicturePiece> write_apart(const CompressedTokens& tokens) {
  std::vector<PicturePiece> pieces;
  for (const Run& run : runs_of(tokens)) {
    if (run.begins_picture && !pieces.empty()) pieces.push_back({"<|vision_end|><|vision_start|>"});
    pieces.push_back({"", run.first, run.last});
  }
  return pieces;
}

std::vector<PicturePiece> write_tiles(const CompressedTokens& tokens) {
  return written(runs_of(tokens), false);
}

std::vector<PicturePiece> write_tiles_or_frames(const CompressedTokens& tokens) {
  const std::vector<Run> runs = runs_of(tokens);
  const bool film = std::ranges::any_of(runs, [&](const Run& run) {
    return run.place.source == runs.front().place.source &&
           run.place.pts_seconds != runs.front().place.pts_seconds;
  });
  return written(runs, film);
}

PictureLayout picture_layout(std::string_view architecture) {
  static const std::map<std::string, PictureLayout, std::less<>> all = {
      {"Idefics3ForConditionalGeneration", {"<image>", write_tiles}},
      {"LlavaForConditionalGeneration", {"<image>", write_plain}},
      {"LlavaOnevisionForConditionalGeneration", {"<image>", write_plain}},
      {"Qwen2_5_VLForConditionalGeneration", {"<|image_pad|>", write_apart}},
      {"SmolVLMForConditionalGeneration", {"<image>", write_tiles_or_frames}},
  };
  const auto found = all.find(architecture);
  return found == all.end() ? PictureLayout{} : found->second;
}

}  // namespace lv::llm
