#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"

// load_bench MODEL [DTYPE]: seconds to load the language model of a checkpoint, to read 64 tokens,
// and for one token more; and the most memory that was resident, as a share of the weights in the
// type they are kept in. One line of JSON.

namespace lv {
namespace {

/// A line of /proc/self/status, in bytes.
double status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int64_t numbers_of(const TensorStore& tensors) {
  int64_t count = 0;
  for (const std::string& name : tensors.names()) {
    int64_t own = 1;
    for (const int64_t size : tensors.shape(name)) own *= size;
    count += own;
  }
  return count;
}

void run(const std::string& path, const std::string& dtype) {
  const double before = status_bytes("VmHWM");
  auto start = std::chrono::steady_clock::now();
  const Checkpoint checkpoint = text_part(open_checkpoint(path, parse_placement("cpu", dtype)));
  const auto model = llm::make_model(checkpoint);
  const double load = seconds_since(start);
  const double loaded = status_bytes("VmHWM") - before;
  const llm::ModelShape shape = model->shape();
  llm::KvStore kv(shape.kv());
  llm::StateStore states;
  const llm::SequenceId sequence = kv.create();
  const auto read = [&](int64_t at, int64_t count) {
    const at::Tensor rows = model->embed(at::arange(count, at::kLong));
    const at::Tensor hidden = model->forward(llm::pack({{sequence, rows, at, 80}}), {kv, states});
    return model->logits(hidden.slice(0, -1)).sum().item<double>();
  };
  start = std::chrono::steady_clock::now();
  read(0, 64);
  const double first = seconds_since(start);
  read(64, 1);
  start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) read(65 + i, 1);
  const double token = seconds_since(start) / 5;
  const bool as_stored = checkpoint.computing().as_stored;
  const double weights =
      as_stored ? static_cast<double>(stored_bytes_of(checkpoint.tensors()).total())
                : static_cast<double>(numbers_of(checkpoint.tensors())) *
                      static_cast<double>(at::elementSize(checkpoint.computing().dtype));
  const double peak = status_bytes("VmHWM") - before;
  std::printf(
      "{\"bench\": \"load\", \"dtype\": \"%s\", \"load_s\": %.2f, \"prompt_64_s\": %.2f, "
      "\"token_ms\": %.0f, \"weights_gb\": %.3f, \"peak_loaded_gb\": %.3f, \"peak_gb\": %.3f, "
      "\"peak_share\": %.3f, \"anonymous_gb\": %.3f}\n",
      dtype.c_str(), load, first, token * 1e3, weights / 1e9, loaded / 1e9, peak / 1e9,
      peak / weights, status_bytes("RssAnon") / 1e9);
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  lv::run(argc > 1 ? argv[1] : ".", argc > 2 ? argv[2] : "auto");
}
