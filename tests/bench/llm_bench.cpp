// Times a language model as its users meet it, through the engine, and writes logits for comparison
// with other programs. Prints one JSON object a line.
//
//   llm_bench MODEL [key=value,...]
//   ids=FILE      whitespace-separated token ids to read; made up if absent
//   prompt=512 new=64 repeat=5 threads=2
//   step=128      prompt tokens read in one step
//   logits=FILE   float32 [ids, V], raw, of every position (then nothing is timed)

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "pipeline/base/params.h"

namespace lv::llm {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<int64_t> ids_of(const std::string& file, int64_t count, int64_t vocabulary) {
  std::vector<int64_t> ids;
  if (!file.empty()) {
    std::ifstream in(file);
    ids.assign(std::istream_iterator<int64_t>(in), {});
    check(!ids.empty(), ErrorCode::kNotFound, file + ": expected token ids, got none");
    return ids;
  }
  for (int64_t i = 0; i < count; ++i) ids.push_back((i * 7919 + 13) % vocabulary);
  return ids;
}

void write_logits(const CausalLm& model, const std::vector<int64_t>& ids, const std::string& file) {
  const ModelShape shape = model.shape();
  KvStore kv({shape.layers, shape.kv_heads, shape.head_size});
  StateStore states;
  const auto count = static_cast<int64_t>(ids.size());
  const SequenceId sequence = kv.create();
  const at::Tensor embeddings = model.embed(at::tensor(ids, at::kLong));
  std::ofstream out(file, std::ios::binary);
  for (int64_t at = 0; at < count; at += 128) {
    const at::Tensor piece = embeddings.slice(0, at, std::min(at + 128, count));
    const at::Tensor logits =
        model.logits(model.forward(pack({{sequence, piece, at, count}}), {kv, states}));
    out.write(static_cast<const char*>(logits.const_data_ptr()),
              static_cast<std::streamsize>(logits.nbytes()));
  }
  check(out.good(), ErrorCode::kInternal, file + ": cannot be written");
}

struct Timing {
  double prefill_seconds = 0;
  double decode_seconds = 0;
  std::vector<int64_t> ids;
};

Timing time_once(Engine& engine, const CausalLm& model, const std::vector<int64_t>& ids,
                 int64_t count) {
  EngineRequest request;
  request.embeddings = model.embed(at::tensor(ids, at::kLong));
  request.options.max_tokens = count;
  request.context_tokens = model.shape().max_positions;
  Timing timing;
  auto start = std::chrono::steady_clock::now();
  const auto stream = engine.start(std::move(request));
  timing.ids.push_back(stream->next().value());
  timing.prefill_seconds = seconds_since(start);
  start = std::chrono::steady_clock::now();
  while (const auto id = stream->next()) timing.ids.push_back(*id);
  timing.decode_seconds = seconds_since(start);
  return timing;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const std::string& path, Params params) {
  const std::string ids_file = params.get("ids", "");
  const std::string logits_file = params.get("logits", "");
  const int64_t prompt = params.get("prompt", 512);
  const int64_t count = params.get("new", 64);
  const int64_t repeat = params.get("repeat", 5);
  EngineLimits limits;
  limits.step_tokens = params.get("step", limits.step_tokens);
  at::set_num_threads(static_cast<int>(params.get("threads", 2)));
  params.done("llm_bench");

  const std::shared_ptr<const CausalLm> model = make_model(open_checkpoint(path));
  const std::vector<int64_t> ids = ids_of(ids_file, prompt, model->shape().vocabulary);
  if (!logits_file.empty()) return write_logits(*model, ids, logits_file);
  Engine engine(model, limits);
  time_once(engine, *model, ids, 4);
  std::vector<double> prefill;
  std::vector<double> decode;
  Timing last;
  for (int64_t i = 0; i < repeat; ++i) {
    last = time_once(engine, *model, ids, count);
    prefill.push_back(static_cast<double>(ids.size()) / last.prefill_seconds);
    decode.push_back(static_cast<double>(last.ids.size() - 1) / last.decode_seconds);
  }
  Json result;
  result.set("model", path);
  result.set("prompt_tokens", static_cast<int64_t>(ids.size()));
  result.set("new_tokens", static_cast<int64_t>(last.ids.size()));
  result.set("step_tokens", limits.step_tokens);
  result.set("threads", at::get_num_threads());
  result.set("prefill_tokens_per_second", median(prefill));
  result.set("decode_tokens_per_second", median(decode));
  result.set("ids", Json::Array(last.ids.begin(), last.ids.end()));
  std::cout << result.dump() << "\n";
}

}  // namespace
}  // namespace lv::llm

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  try {
    lv::check(argc == 2 || argc == 3, lv::ErrorCode::kInvalidArgument,
              "llm_bench: expected MODEL [key=value,...]");
    lv::llm::run(argv[1], lv::Params::parse(argc == 3 ? argv[2] : ""));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
