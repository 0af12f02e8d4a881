#include "audio/transcribe/transcriber.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "audio/encoders/ctranslate2_whisper.h"
#include "pipeline/base/error.h"

namespace lv::audio {
namespace {

struct Choice {
  int64_t id = 0;
  double logprob = 0;  // at temperature 1
};

/// The likeliest id, or one drawn at `temperature`. logits: [V] float32 on the CPU.
Choice choose(const at::Tensor& logits, double temperature, std::mt19937_64& random) {
  Choice choice;
  if (temperature <= 0) {
    choice.id = logits.argmax().item<int64_t>();
  } else {
    const at::Tensor reach = at::softmax(logits.to(at::kDouble) / temperature, 0).cumsum(0);
    const double total = reach[-1].item<double>();
    const double at = std::uniform_real_distribution<double>(0, total)(random);
    const double* values = reach.data_ptr<double>();
    // The first id whose share reaches past `at`; an id of no share is never the first.
    const double* found = std::upper_bound(values, values + reach.numel(), at);
    choice.id = std::min<int64_t>(found - values, reach.numel() - 1);
  }
  choice.logprob = logits[choice.id].item<double>() - at::logsumexp(logits, 0).item<double>();
  return choice;
}

at::Tensor ids_tensor(std::span<const int64_t> ids) {
  at::Tensor tensor = at::empty({1, static_cast<int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

int64_t language_id(const Vocabulary& vocabulary, const std::string& code) {
  for (const auto& [known, id] : vocabulary.languages()) {
    if (known == code) return id;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "language: expected the code of a language that the model knows, got '" + code + "'");
}

}  // namespace

double compression_ratio(const std::string& text) {
  if (text.empty()) return 0;
  const auto size = static_cast<uLong>(text.size());
  uLongf packed = compressBound(size);
  std::vector<Bytef> out(packed);
  check(compress(out.data(), &packed, reinterpret_cast<const Bytef*>(text.data()), size) == Z_OK,
        ErrorCode::kInternal, "zlib: cannot compress a transcript");
  return static_cast<double>(size) / static_cast<double>(packed);
}

/// The state after the prompt, from which every attempt starts.
struct Transcriber::Start {
  WhisperMemory memory;
  at::Tensor logits;  // [V], of what follows the prompt
  double no_speech_probability = 0;
};

Transcriber::Transcriber(const std::string& model_folder, ListenOptions options)
    : Transcriber(model_folder, open_whisper(model_folder), std::move(options)) {}

Transcriber::Transcriber(const std::string& model_folder, const Checkpoint& checkpoint,
                         ListenOptions options)
    : options_(std::move(options)),
      model_(checkpoint, options_.device),
      log_mel_({.mels = model_.shape().mels,
                .chunk_seconds = read_log_mel_options(model_folder).chunk_seconds}),
      vocabulary_(read_json_file(model_folder + "/tokenizer.json", 64 << 20),
                  model_.shape().vocabulary),
      rules_(vocabulary_, read_suppressed_tokens(model_folder, checkpoint.config(), vocabulary_),
             options_.max_initial_timestamp_seconds) {
  check(2 * model_.shape().source_positions == log_mel_.chunk_columns(),
        ErrorCode::kInvalidArgument,
        model_folder + ": expected a window of " + std::to_string(log_mel_.chunk_columns()) +
            " mel columns, got " + std::to_string(2 * model_.shape().source_positions));
  check(!options_.temperatures.empty(), ErrorCode::kInvalidArgument,
        "temperatures: expected at least one");
  if (!vocabulary_.multilingual()) {
    check(options_.language.empty() || options_.language == "en", ErrorCode::kInvalidArgument,
          "language: the model knows English only, got '" + options_.language + "'");
  } else if (!options_.language.empty()) {
    language_id(vocabulary_, options_.language);
  }
}

std::string Transcriber::detect_language(const at::Tensor& encoded) const {
  if (!vocabulary_.multilingual()) return "en";
  WhisperMemory memory = model_.remember(encoded);
  const std::vector<int64_t> ids = {vocabulary_.start()};
  const at::Tensor logits =
      model_.logits(model_.decode(ids_tensor(ids), memory)).reshape({-1}).to(at::kCPU);
  const float* scores = logits.data_ptr<float>();
  const auto& all = vocabulary_.languages();
  const auto best = std::max_element(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return scores[a.second] < scores[b.second];
  });
  check(best != all.end(), ErrorCode::kInvalidArgument,
        "tokenizer.json: expected language tokens, got none");
  return best->first;
}

std::vector<int64_t> Transcriber::prompt(std::span<const int64_t> earlier,
                                         const std::string& language) const {
  std::vector<int64_t> ids;
  if (!earlier.empty()) {
    const auto room = static_cast<size_t>(model_.shape().target_positions / 2 - 1);
    const auto kept = earlier.last(std::min(earlier.size(), room));
    ids.push_back(vocabulary_.previous());
    ids.insert(ids.end(), kept.begin(), kept.end());
  }
  ids.push_back(vocabulary_.start());
  if (vocabulary_.multilingual()) {
    ids.push_back(language_id(vocabulary_, language));
    ids.push_back(vocabulary_.transcribe());
  }
  return ids;
}

Transcriber::Start Transcriber::start(const at::Tensor& encoded,
                                      std::span<const int64_t> prompt) const {
  const auto at_start = std::find(prompt.begin(), prompt.end(), vocabulary_.start());
  check(at_start != prompt.end(), ErrorCode::kInvalidArgument,
        "prompt: expected the start of a transcript in it");
  Start start{model_.remember(encoded), {}, 0};
  const at::Tensor hidden = model_.decode(ids_tensor(prompt), start.memory)[0];  // [n, D]
  const at::Tensor rows =
      at::stack({hidden[at_start - prompt.begin()], hidden[hidden.size(0) - 1]});
  const at::Tensor logits = model_.logits(rows).to(at::kCPU);  // [2, V]
  start.no_speech_probability = at::softmax(logits[0], 0)[vocabulary_.no_speech()].item<double>();
  start.logits = logits[1];
  return start;
}

Attempt Transcriber::attempt(Start& start, double temperature, uint64_t seed) const {
  const int64_t prompt = start.memory.length();
  const int64_t positions = model_.shape().target_positions;
  const int64_t room = std::min(positions / 2, positions - prompt);
  std::mt19937_64 random(seed);
  Attempt said;
  said.temperature = temperature;
  said.no_speech_probability = start.no_speech_probability;
  at::Tensor logits = start.logits.clone();
  double logprob = 0;
  while (static_cast<int64_t>(said.ids.size()) < room) {
    rules_.apply(logits, said.ids);
    const Choice choice = choose(logits, temperature, random);
    logprob += choice.logprob;
    if (choice.id == vocabulary_.end()) break;
    said.ids.push_back(choice.id);
    const at::Tensor hidden =
        model_.decode(ids_tensor(std::span(said.ids).last(1)), start.memory);  // [1, 1, D]
    logits = model_.logits(hidden).reshape({-1}).to(at::kCPU);
  }
  start.memory.rewind(prompt);
  said.mean_logprob = logprob / static_cast<double>(said.ids.size() + 1);
  said.text = trimmed(vocabulary_.text(said.ids));
  said.compression_ratio = compression_ratio(said.text);
  return said;
}

bool Transcriber::is_silence(const Attempt& attempt) const {
  return attempt.no_speech_probability > options_.no_speech_threshold &&
         attempt.mean_logprob <= options_.logprob_threshold;
}

bool Transcriber::acceptable(const Attempt& attempt) const {
  const bool silence = attempt.no_speech_probability > options_.no_speech_threshold;
  return (silence && unlikely(attempt)) || !(repeats(attempt) || unlikely(attempt));
}

Attempt Transcriber::transcribe(const at::Tensor& encoded, std::span<const int64_t> prompt,
                                uint64_t seed) const {
  Start begin = start(encoded, prompt);
  std::vector<Attempt> failed;
  for (const double temperature : options_.temperatures) {
    Attempt next = attempt(begin, temperature, seed + failed.size());
    if (acceptable(next)) return next;
    failed.push_back(std::move(next));
  }
  const auto better = [&](const Attempt& a, const Attempt& b) {  // whether b is
    if (repeats(a) != repeats(b)) return repeats(a);
    return a.mean_logprob < b.mean_logprob;
  };
  Attempt best = *std::max_element(failed.begin(), failed.end(), better);
  best.temperature = options_.temperatures.back();
  return best;
}

}  // namespace lv::audio
