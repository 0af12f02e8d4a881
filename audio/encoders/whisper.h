#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv::audio {

struct WhisperShape {
  int64_t width = 0;  // D
  int64_t mels = 0;
  int64_t vocabulary = 0;
  int64_t source_positions = 0;  // encoder rows of a window; two mel columns each
  int64_t target_positions = 0;  // tokens that one window may have, prompt included
  int64_t encoder_layers = 0, encoder_heads = 0, encoder_inner = 0;
  int64_t decoder_layers = 0, decoder_heads = 0, decoder_inner = 0;
};

/// What the decoder remembers of one batch of windows: the keys and values of what it hears and of
/// what it has said. Not thread-safe.
class WhisperMemory {
 public:
  /// Tokens that have been decoded.
  int64_t length() const { return length_; }
  /// Forgets all but the first `length` tokens, so that another continuation can be tried.
  void rewind(int64_t length);

 private:
  friend class Whisper;
  struct Layer {
    at::Tensor heard_keys, heard_values;  // [B, H, S, Dh]
    at::Tensor said_keys, said_values;    // [B, H, target_positions, Dh], filled up to length_
  };
  std::vector<Layer> layers_;
  int64_t batch_ = 0;
  int64_t length_ = 0;
};

/// Whisper's encoder and decoder, computed in float32. Immutable.
///
/// Reads Hugging Face's names and configuration; read_ctranslate2_whisper() gives those of a
/// CTranslate2 model. Reference: Radford et al., Robust Speech Recognition via Large-Scale Weak
/// Supervision, 2022, section 2.2.
class Whisper {
 public:
  /// Throws kNotFound or kInvalidArgument that names the tensor or the key of the configuration.
  explicit Whisper(const Checkpoint& checkpoint, at::Device device = at::kCPU);
  ~Whisper();
  Whisper(Whisper&&) noexcept;

  const WhisperShape& shape() const { return shape_; }

  /// Log-mel columns of whole windows: [B, mels, 2 * source_positions] -> [B, source_positions, D]
  at::Tensor encode(const at::Tensor& features) const;

  /// A decoder that has said nothing yet, before what encode() heard.
  WhisperMemory remember(const at::Tensor& encoded) const;

  /// Says `ids` ([B, n] int64, on the CPU) after what `memory` holds: the last hidden states
  /// [B, n, D]. Throws kInvalidArgument on an id outside of the vocabulary, kOutOfRange if memory
  /// would exceed target_positions.
  at::Tensor decode(const at::Tensor& ids, WhisperMemory& memory) const;

  /// [..., D] -> [..., V]
  at::Tensor logits(const at::Tensor& hidden) const;

 private:
  struct Layers;
  WhisperShape shape_;
  std::unique_ptr<const Layers> layers_;
};

}  // namespace lv::audio
