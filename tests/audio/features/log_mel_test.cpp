#include "audio/features/log_mel.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv::audio {
namespace {

at::Tensor golden(const std::string& name) {
  const auto store = open_safetensors(data("tests/data/audio/log_mel.safetensors"));
  return std::get<at::Tensor>(store->get(name)).to(at::kFloat);
}

// The sounds of tests/data/audio/make_goldens.py: noise that grows louder.
at::Tensor growing_noise(int64_t samples) {
  return lcg_tensor(static_cast<uint32_t>(samples), {samples}) * at::linspace(0, 0.5, samples);
}

}  // namespace

TEST_CASE("log-mel equals the published feature extractor") {
  const int64_t mels = GENERATE(80, 128);
  const LogMel log_mel({.mels = mels, .chunk_seconds = 1});
  // The goldens are stored in half precision: 1e-3 of values up to 1.5.
  for (const auto& [name, samples] : {std::pair{"short", 4001}, std::pair{"long", 17000}}) {
    const at::Tensor got = log_mel(growing_noise(samples));
    CHECK_THAT(got[0], CloseTo(golden(std::string(name) + "_" + std::to_string(mels)), 1e-3, 1e-3));
  }
}

TEST_CASE("each sound of a batch has its own range") {
  const LogMel log_mel({.mels = 80, .chunk_seconds = 1});
  const at::Tensor loud = lcg_tensor(1, {16000});
  const at::Tensor both = log_mel(at::stack({loud, loud * 1e-3}));
  CHECK_THAT(both[0], CloseTo(log_mel(loud)[0]));
  CHECK_THAT(both[1], CloseTo(log_mel(loud * 1e-3)[0]));
}

TEST_CASE("silence is one value everywhere") {
  const LogMel log_mel({.mels = 80, .chunk_seconds = 1});
  CHECK_THAT(log_mel(at::zeros({100})), CloseTo(at::full({1, 80, 100}, -1.5)));
}

TEST_CASE("a column depends on the samples under its window and on no other") {
  const LogMel log_mel;
  const at::Tensor sound = lcg_tensor(2, {1, 4000});
  const at::Tensor later = log_mel.energies(sound.slice(1, 5 * LogMel::kHop));
  CHECK_THAT(later, CloseTo(log_mel.energies(sound).slice(2, 5)));
}

TEST_CASE("a mel filter has the same area as any other") {
  const at::Tensor filters = slaney_filters(80).to(at::kDouble);
  // Bins are 40 Hz apart; narrow triangles are sampled by few of them.
  CHECK_THAT((filters.slice(0, 40).sum(1) * 40), CloseTo(at::ones({40}), 0, 0.1));
}

TEST_CASE("log-mel refuses what it cannot do") {
  CHECK_THROWS_WITH(LogMel({.mels = 0}), "log-mel: expected 1 to 256 bands, got 0");
  CHECK_THROWS_WITH(LogMel({.mels = 80, .chunk_seconds = 0}),
                    "log-mel: expected a chunk of 1 to 3600 s, got 0");
  CHECK_THROWS_WITH(LogMel().energies(at::zeros({1, 399})),
                    "samples: expected at least 400, got 399");
  CHECK_THROWS_AS(LogMel()(at::zeros({1, 2, 3})), Error);
}

TEST_CASE("the options of log-mel come from the model's folder") {
  const TemporaryFolder folder;
  CHECK(read_log_mel_options(folder.path()).mels == 80);
  write_file(folder / "preprocessor_config.json", R"({"feature_size": 128, "chunk_length": 3})");
  CHECK(read_log_mel_options(folder.path()).mels == 128);
  CHECK(read_log_mel_options(folder.path()).chunk_seconds == 3);
  write_file(folder / "preprocessor_config.json", R"({"sampling_rate": 8000})");
  CHECK_THROWS_WITH(read_log_mel_options(folder.path()),
                    "preprocessor_config.json: sampling_rate: expected 16000, got 8000");
}

}  // namespace lv::audio
