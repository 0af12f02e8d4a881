#include "audio/encoders/ctranslate2_whisper.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"

namespace lv::audio {
namespace {

/// Rows of one stored tensor: the `part`-th of `parts` equal runs.
struct Piece {
  std::string source;
  int64_t part = 0;
  int64_t parts = 1;
};

class RenamedStore : public TensorStore {
 public:
  RenamedStore(TensorStorePtr base, std::map<std::string, Piece, std::less<>> pieces)
      : base_(std::move(base)), pieces_(std::move(pieces)) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, piece] : pieces_) all.push_back(name);
    return all;
  }

  bool contains(std::string_view name) const override { return pieces_.contains(name); }

  StoredTensor get(std::string_view name) const override {
    const Piece& piece = find(name);
    at::Tensor whole = dense(piece.source);
    const std::string scale = piece.source + "_scale";
    if (base_->contains(scale)) {
      const at::Tensor steps = dense(scale).to(at::kFloat);  // a weight of 1 is this many steps
      check(steps.dim() <= 1 && (steps.numel() == 1 || steps.numel() == whole.size(0)),
            ErrorCode::kInvalidArgument, scale + ": expected one number, or one for each row");
      whole = whole.to(at::kFloat) / steps.reshape({-1, 1});
    }
    if (piece.parts == 1) return whole;
    const int64_t rows = rows_of_part(name, piece, whole.size(0));
    return whole.narrow(0, piece.part * rows, rows);
  }

  std::vector<int64_t> shape(std::string_view name) const override {
    const Piece& piece = find(name);
    std::vector<int64_t> sizes = base_->shape(piece.source);
    if (piece.parts > 1) sizes.at(0) = rows_of_part(name, piece, sizes.at(0));
    return sizes;
  }

 private:
  const Piece& find(std::string_view name) const {
    const auto it = pieces_.find(name);
    check(it != pieces_.end(), ErrorCode::kNotFound,
          "model.bin: no tensor for '" + std::string(name) + "'");
    return it->second;
  }

  at::Tensor dense(const std::string& source) const {
    const StoredTensor stored = base_->get(source);
    check(std::holds_alternative<at::Tensor>(stored), ErrorCode::kUnimplemented,
          source + ": expected a dense tensor, got block-quantised rows");
    return std::get<at::Tensor>(stored);
  }

  static int64_t rows_of_part(std::string_view name, const Piece& piece, int64_t rows) {
    check(rows % piece.parts == 0, ErrorCode::kInvalidArgument,
          std::string(name) + ": expected " + piece.source + " to have a multiple of " +
              std::to_string(piece.parts) + " rows, got " + std::to_string(rows));
    return rows / piece.parts;
  }

  TensorStorePtr base_;
  std::map<std::string, Piece, std::less<>> pieces_;
};

/// Collects the pieces of a model: which stored tensor each Hugging Face name reads.
class Renaming {
 public:
  explicit Renaming(const TensorStore& base) : base_(base) {}

  void add(const std::string& name, const std::string& source, int64_t part = 0,
           int64_t parts = 1) {
    if (base_.contains(source)) pieces_[name] = {source, part, parts};
  }

  void norm(const std::string& name, const std::string& source) {
    add(name + ".weight", source + "/gamma");
    add(name + ".bias", source + "/beta");
  }

  void linear(const std::string& name, const std::string& source) {
    add(name + ".weight", source + "/weight");
    add(name + ".bias", source + "/bias");
  }

  /// `names` are stacked in one matrix. Keys have no bias in Whisper; the stored one is zeros, and
  /// any constant would cancel in the softmax.
  void stacked(const std::string& scope, std::vector<std::string> names,
               const std::string& source) {
    const auto parts = static_cast<int64_t>(names.size());
    for (int64_t i = 0; i < parts; ++i) {
      add(scope + names[i] + ".weight", source + "/weight", i, parts);
      if (names[i] != "k_proj") add(scope + names[i] + ".bias", source + "/bias", i, parts);
    }
  }

  void layer(const std::string& name, const std::string& source) {
    stacked(name + ".self_attn.", {"q_proj", "k_proj", "v_proj"},
            source + "/self_attention/linear_0");
    linear(name + ".self_attn.out_proj", source + "/self_attention/linear_1");
    norm(name + ".self_attn_layer_norm", source + "/self_attention/layer_norm");
    linear(name + ".encoder_attn.q_proj", source + "/attention/linear_0");
    stacked(name + ".encoder_attn.", {"k_proj", "v_proj"}, source + "/attention/linear_1");
    linear(name + ".encoder_attn.out_proj", source + "/attention/linear_2");
    norm(name + ".encoder_attn_layer_norm", source + "/attention/layer_norm");
    linear(name + ".fc1", source + "/ffn/linear_0");
    linear(name + ".fc2", source + "/ffn/linear_1");
    norm(name + ".final_layer_norm", source + "/ffn/layer_norm");
  }

  /// How many layers there were.
  int64_t side(const std::string& side) {
    int64_t layers = 0;
    for (;; ++layers) {
      const std::string index = std::to_string(layers);
      const std::string source = side + "/layer_" + index;
      if (!base_.contains(source + "/self_attention/linear_0/weight")) break;
      layer("model." + side + ".layers." + index, source);
    }
    norm("model." + side + ".layer_norm", side + "/layer_norm");
    add("model." + side + ".embed_positions.weight", side + "/position_encodings/encodings");
    return layers;
  }

  std::map<std::string, Piece, std::less<>> take() { return std::move(pieces_); }

 private:
  const TensorStore& base_;
  std::map<std::string, Piece, std::less<>> pieces_;
};

int64_t dimension(const TensorStore& base, const std::string& name, size_t index) {
  const std::vector<int64_t> sizes = base.shape(name);
  check(index < sizes.size(), ErrorCode::kInvalidArgument,
        name + ": expected at least " + std::to_string(index + 1) + " dimensions");
  return sizes[index];
}

int64_t scalar(const TensorStore& base, const std::string& name) {
  const StoredTensor stored = base.get(name);
  const auto* tensor = std::get_if<at::Tensor>(&stored);
  check(tensor != nullptr && tensor->numel() == 1, ErrorCode::kInvalidArgument,
        name + ": expected one number");
  return tensor->to(at::kLong).item<int64_t>();
}

/// Hugging Face's configuration, from the shapes and numbers that the file holds.
Json configuration(const TensorStore& base, const Json& stored) {
  Json config;
  config.set("architectures", Json::Array{"WhisperForConditionalGeneration"});
  config.set("d_model", dimension(base, "encoder/conv1/weight", 0));
  config.set("num_mel_bins", dimension(base, "encoder/conv1/weight", 1));
  config.set("vocab_size", dimension(base, "decoder/embeddings/weight", 0));
  config.set("max_source_positions", dimension(base, "encoder/position_encodings/encodings", 0));
  config.set("max_target_positions", dimension(base, "decoder/position_encodings/encodings", 0));
  for (const std::string side : {"encoder", "decoder"}) {
    config.set(side + "_attention_heads", scalar(base, side + "/num_heads"));
    config.set(side + "_ffn_dim", dimension(base, side + "/layer_0/ffn/linear_0/weight", 0));
  }
  if (const Json* ids = stored.find("suppress_ids")) config.set("suppress_tokens", *ids);
  if (const Json* ids = stored.find("suppress_ids_begin")) {
    config.set("begin_suppress_tokens", *ids);
  }
  return config;
}

}  // namespace

Checkpoint read_ctranslate2_whisper(const std::string& folder) {
  const TensorStorePtr base = open_ctranslate2(folder + "/model.bin");
  const std::string config_path = folder + "/config.json";
  const Json stored = optional_json_file(config_path, 64 << 20);
  Renaming renaming(*base);
  Json config = configuration(*base, stored);
  config.set("encoder_layers", renaming.side("encoder"));
  config.set("decoder_layers", renaming.side("decoder"));
  renaming.linear("model.encoder.conv1", "encoder/conv1");
  renaming.linear("model.encoder.conv2", "encoder/conv2");
  renaming.add("model.decoder.embed_tokens.weight", "decoder/embeddings/weight");
  return Checkpoint(folder, std::move(config),
                    std::make_shared<RenamedStore>(base, renaming.take()));
}

Checkpoint open_whisper(const std::string& folder) {
  if (std::filesystem::exists(folder + "/model.bin")) return read_ctranslate2_whisper(folder);
  return open_checkpoint(folder);
}

}  // namespace lv::audio
