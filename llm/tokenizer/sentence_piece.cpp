#include "llm/tokenizer/sentence_piece.h"

#include <bit>
#include <cmath>

#include "llm/tokenizer/bpe.h"
#include "llm/tokenizer/unicode.h"
#include "llm/tokenizer/unigram.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

[[noreturn]] void broken(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "SentencePiece model: " + what);
}

/// One field of a message: a number, or bytes.
struct Field {
  uint64_t number = 0;
  uint64_t integer = 0;    // of varint and fixed-width fields
  std::string_view bytes;  // of length-delimited ones
  bool is_bytes = false;
};

/// Walks the fields of a protocol buffer's message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field = {key >> 3, 0, {}, false};
    switch (key & 7) {
      case 0:
        field.integer = varint();
        break;
      case 1:
        field.integer = fixed(8);
        break;
      case 2:
        field.is_bytes = true;
        field.bytes = take(varint());
        break;
      case 5:
        field.integer = fixed(4);
        break;
      default:
        broken("expected a field of a known type, got type " + std::to_string(key & 7));
    }
    return true;
  }

 private:
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) {
      broken("a field of " + std::to_string(size) + " bytes, but only " +
             std::to_string(rest_.size()) + " are left");
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken("a number of more than 64 bits");
  }
  uint64_t fixed(size_t size) {
    uint64_t value = 0;
    const std::string_view bytes = take(size);
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  std::string_view rest_;
};

SentencePieceModel::Piece read_piece(std::string_view message) {
  SentencePieceModel::Piece piece;
  Field field;
  for (Fields fields(message); fields.next(field);) {
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.integer));
    if (field.number == 3) piece.type = static_cast<PieceType>(field.integer);
  }
  return piece;
}

void read_trainer(std::string_view message, SentencePieceModel& model) {
  Field field;
  uint64_t kind = 1;
  for (Fields fields(message); fields.next(field);) {
    const auto id = static_cast<int32_t>(field.integer);
    if (field.number == 3) kind = field.integer;
    if (field.number == 24 && field.integer != 0) {
      throw Error(ErrorCode::kUnimplemented,
                  "SentencePiece model: treat_whitespace_as_suffix: expected false, got true");
    }
    if (field.number == 35) model.byte_fallback = field.integer != 0;
    if (field.number == 40) model.unknown_id = id;
    if (field.number == 41) model.bos_id = id;
    if (field.number == 42) model.eos_id = id;
  }
  if (kind != 1 && kind != 2) {
    throw Error(ErrorCode::kUnimplemented,
                "SentencePiece model: model_type: expected 1 (unigram) or 2 (BPE), got " +
                    std::to_string(kind));
  }
  model.unigram = kind == 1;
}

void read_rules(std::string_view message, SentencePieceRules& rules) {
  Field field;
  for (Fields fields(message); fields.next(field);) {
    if (field.number == 2) rules.charsmap = field.bytes;
    if (field.number == 3) rules.begin_with_space = field.integer != 0;
    if (field.number == 4) rules.remove_extra_spaces = field.integer != 0;
    if (field.number == 5) rules.visible_spaces = field.integer != 0;
  }
}

void check_pieces(const SentencePieceModel& model) {
  const auto size = static_cast<int64_t>(model.pieces.size());
  if (size == 0) broken("pieces: expected some, got none");
  for (int64_t id = 0; id < size; ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[static_cast<size_t>(id)];
    const std::string name = "pieces[" + std::to_string(id) + "]";
    if (piece.text.empty() || valid_utf8(piece.text) != piece.text)
      broken(name + ": expected text in UTF-8");
    if (!std::isfinite(piece.score)) broken(name + ": expected a finite score");
    if (piece.type < PieceType::kNormal || piece.type > PieceType::kByte)
      broken(name + ": expected a type from 1 to 6");
  }
  for (const int64_t id : {model.unknown_id, model.bos_id, model.eos_id}) {
    if (id >= size)
      broken("ids: expected less than " + std::to_string(size) + ", got " + std::to_string(id));
  }
}

Json object(std::initializer_list<std::pair<const char*, Json>> members) {
  Json result{Json::Object()};
  for (const auto& [key, value] : members) result.set(key, value);
  return result;
}

TokenDecoderPtr make_decoder(const SentencePieceRules& rules) {
  const Json space = object({{"String", "\u2581"}});
  Json::Array steps;
  if (rules.visible_spaces)
    steps.push_back(object({{"type", "Replace"}, {"pattern", space}, {"content", " "}}));
  steps.push_back(object({{"type", "ByteFallback"}}));
  steps.push_back(object({{"type", "Fuse"}}));
  if (rules.begin_with_space)
    steps.push_back(object({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}));
  return make_token_decoder(object({{"type", "Sequence"}, {"decoders", Json(std::move(steps))}}));
}

}  // namespace

SentencePieceModel parse_sentence_piece(std::string_view bytes) {
  SentencePieceModel model;
  Field field;
  for (Fields fields(bytes); fields.next(field);) {
    if (field.number >= 1 && field.number <= 3 && !field.is_bytes)
      broken("field " + std::to_string(field.number) + ": expected a message, got a number");
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes));
    if (field.number == 2) read_trainer(field.bytes, model);
    if (field.number == 3) read_rules(field.bytes, model.rules);
  }
  check_pieces(model);
  return model;
}

TokenizerParts parts_from_sentence_piece(SentencePieceModel model) {
  TokenizerParts parts;
  Vocabulary vocabulary;
  std::vector<double> scores;
  std::vector<int64_t> not_text;
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    const int64_t id = vocabulary.size();
    vocabulary.add(piece.text, id);
    // Only words count where the worst score is looked for.
    scores.push_back(piece.type == PieceType::kNormal ? piece.score : 0);
    if (piece.type == PieceType::kNormal) continue;
    not_text.push_back(id);
    if (piece.type == PieceType::kByte || piece.type == PieceType::kUnused) continue;
    AddedToken token;
    token.id = id;
    token.content = piece.text;
    token.special = piece.type != PieceType::kUserDefined;
    parts.added.push_back(std::move(token));
  }
  const auto unknown = static_cast<int32_t>(model.unknown_id);
  if (model.unigram) {
    UnigramOptions options{unknown, model.byte_fallback, true, std::move(not_text)};
    parts.model = make_unigram(std::move(vocabulary), std::move(scores), std::move(options));
  } else {
    ScoredBpeOptions options{unknown, model.byte_fallback, std::move(not_text)};
    parts.model = make_scored_bpe(std::move(vocabulary), std::move(scores), std::move(options));
  }
  if (model.bos_id >= 0) parts.bos = model.bos_id;
  if (model.eos_id >= 0) parts.eos = model.eos_id;
  if (parts.eos) parts.stop_ids.push_back(*parts.eos);
  parts.decoder = make_decoder(model.rules);
  parts.normalizer = make_sentence_piece_normalizer(std::move(model.rules));
  return parts;
}

TokenizerPtr tokenizer_from_sentence_piece(std::string_view bytes) {
  return std::make_shared<const Tokenizer>(parts_from_sentence_piece(parse_sentence_piece(bytes)));
}

}  // namespace lv::llm
