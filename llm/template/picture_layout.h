#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::llm {

/// A stretch of a written picture: special text, or, where that is empty, rows [first, last) of the
/// tokens.
struct PicturePiece {
  std::string text;
  int64_t first = 0, last = 0;
  bool numbered = false;  // the text tells the number of a picture that begins here
};

/// What stands around the tokens that are written.
struct PictureSurroundings {
  int64_t numbered = 0;        // pictures whose numbers were told before, in the whole prompt
  bool after_picture = false;  // other visual tokens end right before these
  std::string_view next = {};  // the text behind them; empty if none or other visual tokens follow
};

/// How a family of models reads pictures between text.
struct PictureLayout {
  /// The token that stands for each visual token in the family's prompts. Empty: it has none.
  std::string mark;
  /// All rows, each once and in order, with the text that the family was trained with around them.
  std::vector<PicturePiece> (*write)(const CompressedTokens& tokens,
                                     const PictureSurroundings& around) = nullptr;
  /// The family wears a picture as weights and reads nothing of it.
  bool worn = false;

  /// What stands before the pictures of a film: how many there are, of how many seconds. Null:
  /// nothing.
  std::string (*film_opening)(int64_t frames, double seconds) = nullptr;

  bool known() const { return write != nullptr; }
};

/// The layout of a whole model's architecture, from the table of them, where the model's
/// configuration may choose among several; an unknown one for a model that was not trained with
/// pictures. Throws kInvalidArgument on a choice that there is not.
PictureLayout picture_layout(std::string_view architecture, const Json& config = {});

/// The tokens and nothing else.
std::vector<PicturePiece> write_plain(const CompressedTokens& tokens,
                                      const PictureSurroundings& around = {});

/// Pictures with a space between them.
std::vector<PicturePiece> write_spaced(const CompressedTokens& tokens,
                                       const PictureSurroundings& around = {});

/// Each source after the first behind marks of Qwen2.5-VL's: one picture or film ends, the next
/// begins. The template writes those around all of them.
std::vector<PicturePiece> write_apart(const CompressedTokens& tokens,
                                      const PictureSurroundings& around = {});

/// Each tile of a picture behind its row and column, a row of tiles a line, the whole picture last.
/// Tiles that compression left nothing of are left out, and tokens of several tiles or pictures
/// (kSpread) stay where they stand among the others.
/// Reference: Marafioti et al., SmolVLM, 2025; as transformers' Idefics3Processor and
/// SmolVLMProcessor write it.
std::vector<PicturePiece> write_tiles(const CompressedTokens& tokens,
                                      const PictureSurroundings& around = {});

/// A number of frames in words, and the film's length.
/// Reference: transformers' SmolVLMProcessor.
std::string count_frames(int64_t frames, double seconds);

/// The same; pictures of one source at several times are the frames of a film, each behind its
/// minute and second.
std::vector<PicturePiece> write_tiles_or_frames(const CompressedTokens& tokens,
                                                const PictureSurroundings& around = {});

/// Each picture and each of its tiles between borders, one where two meet, and a space before words
/// that follow at once.
/// Reference: Laurencon et al., What matters when building vision-language models?, 2024; as
/// transformers' Idefics2Processor writes it.
std::vector<PicturePiece> write_bordered(const CompressedTokens& tokens,
                                         const PictureSurroundings& around = {});

/// Each picture behind its number in the prompt and between two marks, its tiles one after another,
/// the whole picture first.
/// Reference: tencent-ailab/Leopard, evaluations/models/llava_multiimg_siglip_anyres.py.
std::vector<PicturePiece> write_numbered(const CompressedTokens& tokens,
                                         const PictureSurroundings& around = {});

/// The same with the whole picture last.
std::vector<PicturePiece> write_numbered_tiles_first(const CompressedTokens& tokens,
                                                     const PictureSurroundings& around = {});

/// The same with a mark of its number behind each tile.
/// Reference: tencent-ailab/Leopard, preprocess_llama3 of the training code.
std::vector<PicturePiece> write_numbered_tiles(const CompressedTokens& tokens,
                                               const PictureSurroundings& around = {});

}  // namespace lv::llm
