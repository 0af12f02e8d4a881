#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pipeline/stage/stage.h"
#include "pipeline/types/audio.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::services {

/// A compressor by name, with its own options as text.
struct CompressionSpec {
  std::string method;
  std::map<std::string, std::string> params;
};

/// Makes the stage that encodes for these compressors: what of them belongs between the encoder's
/// layers is done there. None asks for what is usual with the model.
using MakeEncode =
    std::function<StagePtr<FrameBatch, VisualTokens>(const std::vector<CompressionSpec>&)>;

/// Makes the stage that runs these compressors one after the other; none asks for what is usual
/// with the model that reads the tokens.
using MakeCompress =
    std::function<StagePtr<ClipTokens, VisualContext>(const std::vector<CompressionSpec>&)>;

/// How the model that reads them was trained to be shown films; nothing where no model is known.
struct FilmManner {
  std::optional<PacedFrames> frames;
  /// Text before a film's frames: how many there are, of how many seconds. Null: none.
  std::string (*opening)(int64_t frames, double seconds) = nullptr;
  /// Prompts are the pictures, then what is known of them, then the question, and nothing else; the
  /// answer is not begun for the model.
  bool pictures_first = false;

  /// Whether all frames of a film stand together, rather than with what was said meanwhile.
  bool whole() const { return frames.has_value() || opening != nullptr; }
  /// The rule that a request's rule comes to.
  SamplingRule chosen(const SamplingRule& asked) const;
};

/// What tasks are made of. A stage may be here or on another machine; an empty one is not there.
struct Stages {
  StagePtr<MediaRequest, FrameBatch> decode_video;
  StagePtr<MediaRequest, AudioChunk> decode_audio;
  StagePtr<AudioChunk, AudioTokens> listen;
  MakeEncode encode;
  MakeCompress compress;
  StagePtr<Prompt, TextDelta> generate;
  /// The embeddings [n, D] of a question, for compressors that ask for one; empty where none does.
  std::function<at::Tensor(const std::string&)> embed_text;
  /// Whether the model's compressor reads features of sound beside those of pictures.
  bool hears = false;
  FilmManner films;
  /// Whether the model was trained to read what its encoder sees. Nothing that is written needs to
  /// be looked at where it was not.
  bool trained_eyes = true;
};

/// The stages by name, in the order in which a request meets them:
/// decode, listen, encode, compress, generate.
const std::vector<std::string>& stage_names();

/// Throws kInvalidArgument that lists the names if `name` is none of them.
void check_stage_name(const std::string& name);

/// Puts stages on other machines in place of those in `stages`: `addresses` maps a stage's name to
/// "host:port". A call that is not over after `deadline` fails with kDeadlineExceeded; 0 waits for
/// ever. Nothing is connected yet. Throws kInvalidArgument on an unknown name.
void use_remote_stages(Stages& stages, const std::map<std::string, std::string>& addresses,
                       std::chrono::milliseconds deadline);

/// "tome:keep=0.5+holitom:keep=0.2", as parse_compression() reads it.
std::string compression_text(const std::vector<CompressionSpec>& specs);

/// Reads "tome:keep=0.5+holitom:keep=0.2": compressors that run one after the other, each with its
/// own options. Throws kInvalidArgument.
std::vector<CompressionSpec> parse_compression(const std::string& text);

/// Reads "name=host:port,name=host:port"; a lone "host:port" means every stage.
std::map<std::string, std::string> parse_upstream(const std::string& text);

}  // namespace lv::services
