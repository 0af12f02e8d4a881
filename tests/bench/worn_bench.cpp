// What one picture costs a language model that reads it as tokens, and one that wears it as weights
// (VLoRA), with random weights. Prints one JSON object for what was timed, and one each for what is
// counted of the same shape and of the published one of 7 billion weights.
//
//   worn_bench [key=value,...]
//   width=512 layers=8 heads=8 mlp=1408   of the language model
//   generator=256 depth=8 rank=64 every=4 of the generators
//   places=576 text=32 new=16             tokens of the picture, of the prompt and of the answer
//   repeat=5 threads=2

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <vector>

#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "llm/models/worn_weights.h"
#include "pipeline/base/error.h"
#include "pipeline/base/params.h"
#include "tests/support/memory_store.h"
#include "vision/compressors/trained.h"

namespace lv {
namespace {

constexpr int64_t kKinds = 5, kVisualWidth = 1024, kVocabulary = 1000;

struct Shape {
  int64_t width = 512, layers = 8, heads = 8, mlp = 1408;
  int64_t generator = 256, depth = 8, rank = 64, every = 4;
  int64_t places = 576, text = 32;

  int64_t slots() const { return layers / every; }
  int64_t deltas() const { return kKinds * slots(); }
};

Shape published() { return {4096, 32, 32, 11008, 512, 8, 64, 4, 576, 32}; }

/// Multiplications and additions of a pass over `count` tokens after `before`.
double reading_flops(const Shape& s, int64_t count, int64_t before) {
  const double n = static_cast<double>(count), d = static_cast<double>(s.width);
  const double linear = 2 * n * (4 * d * d + 3 * d * static_cast<double>(s.mlp));
  const double keys = n * static_cast<double>(before) + n * (n + 1) / 2;
  return static_cast<double>(s.layers) * (linear + 4 * keys * d);
}

/// The thin products of `count` tokens.
double wearing_flops(const Shape& s, int64_t count) {
  return static_cast<double>(s.deltas() * count * 4 * s.rank * s.width);
}

double generating_flops(const Shape& s) {
  const double m = static_cast<double>(s.generator), q = static_cast<double>(s.slots());
  const double places = static_cast<double>(s.places);
  const double among = 8 * q * m * m + 4 * q * q * m;
  const double across = 4 * q * m * m + 4 * places * m * m + 4 * q * places * m;
  const double feed_forward = 16 * q * m * m;
  const double head = 2 * q * m * static_cast<double>(s.width * s.rank);
  return 2 * places * static_cast<double>(kVisualWidth) * m +
         kKinds * (static_cast<double>(s.depth) * (among + across + feed_forward) + head);
}

int64_t generator_parameters(const Shape& s) {
  const int64_t m = s.generator, out = s.width * s.rank;
  const int64_t layer = 16 * m * m + 8 * m + 5 * m + 6 * m;  // matrices, their biases, norms
  const int64_t one = s.slots() * m + s.depth * layer + 2 * m + m * out + out;
  return kVisualWidth * m + m + s.places * m + kKinds * one + s.deltas() * out;
}

Json counted(const char* name, const Shape& s, int64_t bytes) {
  const double read = reading_flops(s, s.places + s.text, 0);
  const double worn = reading_flops(s, s.text, 0) + wearing_flops(s, s.text);
  const int64_t token = 2 * s.layers * s.width * bytes;
  Json out;
  out.set("counted", name);
  out.set("read_gflop", read / 1e9);
  out.set("worn_gflop", worn / 1e9);
  out.set("generate_gflop", generating_flops(s) / 1e9);
  out.set("worn_share", (worn + generating_flops(s)) / read);
  out.set("answer_token_read_gflop", reading_flops(s, 1, s.places + s.text) / 1e9);
  out.set("answer_token_worn_gflop", (reading_flops(s, 1, s.text) + wearing_flops(s, 1)) / 1e9);
  out.set("read_kv_mb", static_cast<double>(token * (s.places + s.text)) / 1e6);
  out.set("worn_kv_mb", static_cast<double>(token * s.text) / 1e6);
  out.set("worn_weights_mb", static_cast<double>(2 * s.deltas() * s.width * s.rank * bytes) / 1e6);
  out.set("generator_parameters_m", static_cast<double>(generator_parameters(s)) / 1e6);
  return out;
}

at::Tensor matrix(at::IntArrayRef sizes) {
  return at::randn(sizes) / std::sqrt(static_cast<double>(sizes.back()));
}

std::shared_ptr<const llm::CausalLm> language_model(const Shape& s) {
  NamedTensors all;
  all["model.embed_tokens.weight"] = matrix({kVocabulary, s.width});
  all["lm_head.weight"] = matrix({kVocabulary, s.width});
  all["model.norm.weight"] = at::ones({s.width});
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string at = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      all[at + "self_attn." + name + ".weight"] = matrix({s.width, s.width});
    }
    all[at + "mlp.gate_proj.weight"] = matrix({s.mlp, s.width});
    all[at + "mlp.up_proj.weight"] = matrix({s.mlp, s.width});
    all[at + "mlp.down_proj.weight"] = matrix({s.width, s.mlp});
    all[at + "input_layernorm.weight"] = at::ones({s.width});
    all[at + "post_attention_layernorm.weight"] = at::ones({s.width});
  }
  Json config;
  config.set("architectures", Json::Array{Json("LlamaForCausalLM")});
  config.set("hidden_size", s.width);
  config.set("num_hidden_layers", s.layers);
  config.set("num_attention_heads", s.heads);
  config.set("intermediate_size", s.mlp);
  config.set("vocab_size", kVocabulary);
  return llm::make_model(checkpoint_of(config.dump(), std::move(all)));
}

std::shared_ptr<const vision::Compressor> generators(const Shape& s) {
  NamedTensors all;
  const std::string root = "model.mm_projector.";
  const int64_t m = s.generator, out = s.width * s.rank;
  all[root + "visual_proj.weight"] = matrix({m, kVisualWidth});
  all[root + "visual_proj.bias"] = at::zeros({m});
  all[root + "pos_embed"] = matrix({1, s.places, m});
  all[root + "Bs"] = matrix({1, s.deltas(), out});
  for (int64_t k = 0; k < kKinds; ++k) {
    const std::string gen = root + "gen." + std::to_string(k) + ".";
    const auto linear = [&](const std::string& name, int64_t rows, int64_t columns) {
      all[gen + name + ".weight"] = matrix({rows, columns});
      all[gen + name + ".bias"] = at::zeros({rows});
    };
    const auto norm = [&](const std::string& name) {
      all[gen + name + ".weight"] = at::ones({m});
      all[gen + name + ".bias"] = at::zeros({m});
    };
    all[gen + "queries"] = matrix({1, s.slots(), m});
    linear("weights_head", out, m);
    norm("norm");
    for (int64_t i = 0; i < s.depth; ++i) {
      const std::string at = "decoders." + std::to_string(i) + ".";
      for (const std::string attention : {"self_attn.", "multihead_attn."}) {
        all[gen + at + attention + "in_proj_weight"] = matrix({3 * m, m});
        all[gen + at + attention + "in_proj_bias"] = at::zeros({3 * m});
        linear(at + attention + "out_proj", m, m);
      }
      linear(at + "linear1", 4 * m, m);
      linear(at + "linear2", m, 4 * m);
      for (const char* name : {"norm1", "norm2", "norm3"}) norm(at + name);
    }
  }
  Json config;
  config.set("architectures", Json::Array{Json("LlavaLlamaVLoRAForCausalLM")});
  config.set("model_type", "llava_vlora");
  config.set("vlora_depth", s.depth);
  config.set("vlora_visual_dim", kVisualWidth);
  config.set("vlora_pos_num", s.places);
  config.set("vlora_llm_dim", s.width);
  config.set("vlora_llm_depth", s.layers);
  config.set("vlora_rank", s.rank);
  config.set("skip_layers", s.every);
  return vision::load_own_compressor(checkpoint_of(config.dump(), std::move(all))).compressor;
}

/// The median of `repeat` runs, in milliseconds.
double median_ms(int64_t repeat, const std::function<void()>& work) {
  std::vector<double> times;
  for (int64_t i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

struct Timing {
  double prompt_ms = 0, token_ms = 0;
  int64_t kv_bytes = 0;
  at::Tensor hidden;  // of the prompt
};

Timing timed(const llm::CausalLm& model, int64_t prompt, int64_t answer, int64_t repeat,
             const llm::WornWeights* worn) {
  const llm::ModelShape shape = model.shape();
  const at::Tensor rows = model.embed(at::arange(prompt, at::kLong).remainder(kVocabulary));
  const at::Tensor one = rows.slice(0, 0, 1);
  const int64_t length = prompt + answer;
  std::vector<double> tokens;
  Timing timing;
  std::vector<double> prompts;
  for (int64_t i = 0; i < repeat; ++i) {
    llm::KvStore kv(shape.kv());
    llm::StateStore states;
    const llm::SequenceId sequence = kv.create();
    const auto read = [&](const at::Tensor& some, int64_t first) {
      return model.forward(llm::pack({{sequence, some, first, length, {}, worn}}), {kv, states});
    };
    prompts.push_back(median_ms(1, [&] { timing.hidden = read(rows, 0); }));
    timing.kv_bytes = kv.bytes();
    int64_t at = prompt;
    tokens.push_back(median_ms(answer, [&] { read(one, at++); }));
  }
  std::sort(prompts.begin(), prompts.end());
  std::sort(tokens.begin(), tokens.end());
  timing.prompt_ms = prompts[prompts.size() / 2];
  timing.token_ms = tokens[tokens.size() / 2];
  return timing;
}

void run(Params params) {
  Shape s;
  for (const auto& [key, field] : {std::pair("width", &Shape::width),
                                   {"layers", &Shape::layers},
                                   {"heads", &Shape::heads},
                                   {"mlp", &Shape::mlp},
                                   {"generator", &Shape::generator},
                                   {"depth", &Shape::depth},
                                   {"rank", &Shape::rank},
                                   {"every", &Shape::every},
                                   {"places", &Shape::places},
                                   {"text", &Shape::text}}) {
    s.*field = params.get(key, s.*field);
  }
  const int64_t answer = params.get("new", 16), repeat = params.get("repeat", 5);
  at::set_num_threads(static_cast<int>(params.get("threads", 2)));
  params.done("worn_bench");

  const auto model = language_model(s);
  const auto generator = generators(s);
  ClipTokens clip;
  clip.visual.features = at::randn({s.places, kVisualWidth});
  clip.visual.offsets = at::tensor({0, static_cast<int>(s.places)}, at::kInt);
  AdapterWeights weights;
  const double generate_ms =
      median_ms(repeat, [&] { weights = std::get<AdapterWeights>(generator->map(clip)); });
  const llm::WornWeights worn(weights, model->shape());
  const Timing plain = timed(*model, s.text, answer, 1, nullptr);
  const Timing read = timed(*model, s.places + s.text, answer, repeat, nullptr);
  const Timing wearing = timed(*model, s.text, answer, repeat, &worn);
  check(at::isfinite(wearing.hidden).all().item<bool>() &&
            !at::allclose(wearing.hidden, plain.hidden, 1e-2, 1e-2),
        ErrorCode::kInternal, "worn_bench: expected that what is worn matters");

  Json out;
  out.set("timed", "random weights, float32");
  out.set("threads", at::get_num_threads());
  out.set("read_prompt_ms", read.prompt_ms);
  out.set("generate_ms", generate_ms);
  out.set("worn_prompt_ms", wearing.prompt_ms);
  out.set("first_token_ratio", (generate_ms + wearing.prompt_ms) / read.prompt_ms);
  out.set("read_token_ms", read.token_ms);
  out.set("worn_token_ms", wearing.token_ms);
  out.set("read_kv_mb", static_cast<double>(read.kv_bytes) / 1e6);
  out.set("worn_kv_mb", static_cast<double>(wearing.kv_bytes) / 1e6);
  std::cout << out.dump() << "\n"
            << counted("this shape, 4 bytes a number", s, 4).dump() << "\n"
            << counted("7B, 2 bytes a number", published(), 2).dump() << "\n";
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  try {
    lv::check(argc <= 2, lv::ErrorCode::kInvalidArgument, "worn_bench: expected [key=value,...]");
    lv::run(lv::Params::parse(argc == 2 ? argv[1] : ""));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
