#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/types/visual_tokens.h"

namespace lv::llm {

/// A stretch of a written picture: special text, or, where that is empty, rows [first, last) of the
/// tokens.
struct PicturePiece {
  std::string text;
  int64_t first = 0, last = 0;
};

/// How a family of models reads pictures between text.
struct PictureLayout {
  /// The token that stands for each visual token in the family's prompts. Empty: it has none.
  std::string mark;
  /// All rows, each once and in order, with the text that the family was trained with around them.
  std::vector<PicturePiece> (*write)(const CompressedTokens& tokens) = nullptr;

  bool known() const { return write != nullptr; }
};

/// The layout of a whole model's architecture, from the table of them; an unknown one for a model
/// that was not trained with pictures.
PictureLayout picture_layout(std::string_view architecture);

/// The tokens and nothing else.
std::vector<PicturePiece> write_plain(const CompressedTokens& tokens);

/// Each picture after the first behind marks of Qwen2.5-VL's: one ends, the next begins. The
/// template writes those around all of them.
std::vector<PicturePiece> write_apart(const CompressedTokens& tokens);

/// Each tile of a picture behind its row and column, a row of tiles a line, the whole picture last.
/// Tiles that compression left nothing of are left out, and tokens of several tiles or pictures
/// (kSpread) stay where they stand among the others.
/// Reference: Marafioti et al., SmolVLM, 2025; as transformers' Idefics3Processor and
/// SmolVLMProcessor write it.
std::vector<PicturePiece> write_tiles(const CompressedTokens& tokens);

/// The same; pictures of one source at several times are the frames of a film, each behind its
/// minute and second.
std::vector<PicturePiece> write_tiles_or_frames(const CompressedTokens& tokens);

}  // namespace lv::llm
