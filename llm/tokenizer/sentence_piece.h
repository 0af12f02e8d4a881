#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/tokenizer/normalizers.h"
#include "llm/tokenizer/parts.h"

namespace lv::llm {

/// The types of a piece, as tokenizer.model and GGUF number them.
enum class PieceType : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// How SentencePiece prepares text.
struct SentencePieceRules {
  std::string charsmap;             // see charsmap.h; empty: characters stay
  bool begin_with_space = true;     // unless the text is empty
  bool begin_once = false;          // only the whole text, not each stretch between added tokens
  bool remove_extra_spaces = true;  // at the ends, and all but one of several
  bool visible_spaces = true;       // a space becomes U+2581
};

/// What a tokenizer.model holds, of what is needed to read text with it.
struct SentencePieceModel {
  struct Piece {
    std::string text;
    double score = 0;
    PieceType type = PieceType::kNormal;
  };
  std::vector<Piece> pieces;  // by id
  bool unigram = true;        // else byte-pair encoding
  bool byte_fallback = false;
  int64_t unknown_id = 0, bos_id = 1, eos_id = 2;  // -1: none
  SentencePieceRules rules;
};

/// Reads the protocol buffer `sentencepiece.ModelProto`. Throws kInvalidArgument where the bytes
/// are none or contradict themselves, kUnimplemented on a kind of model that is not understood.
/// Reference: Kudo and Richardson, SentencePiece, EMNLP 2018 (demonstrations), and the package's
/// sentencepiece_model.proto.
SentencePieceModel parse_sentence_piece(std::string_view bytes);

/// Text as SentencePiece wants it.
NormalizerPtr make_sentence_piece_normalizer(SentencePieceRules rules);

/// The tokenizer of a model. Pieces of the types control and user-defined are added tokens. Differs
/// from the package: pieces marked unused are never made, not even on the way to longer ones.
TokenizerParts parts_from_sentence_piece(SentencePieceModel model);

}  // namespace lv::llm
