#pragma once

#include <memory>
#include <string>

#include "audio/transcribe/listen_options.h"
#include "pipeline/stage/stage.h"
#include "pipeline/types/audio.h"

namespace lv::audio {

class Transcriber;

/// Speech to text with a Whisper folder (Hugging Face or CTranslate2 layout, with tokenizer.json).
///
/// Takes chunks of any length, [1, S] at 16 kHz, and yields one AudioTokens a window of up to 30 s:
/// its segments of speech and the encoder's rows (one in 20 ms) under them. A window ends at the
/// last pair of timestamps, so that it cuts no word. A jump of more than 0.2 s between chunks ends
/// a window, too. The range of a window's mel columns is limited by the loudest one so far: a
/// stream has no whole.
StagePtr<AudioChunk, AudioTokens> make_listen(const std::string& model_folder,
                                              ListenOptions options = {});
StagePtr<AudioChunk, AudioTokens> make_listen(std::shared_ptr<const Transcriber> transcriber);

}  // namespace lv::audio
