#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench_model.h"
#include "apps/commands.h"
#include "apps/file_prompt.h"
#include "apps/flags.h"
#include "apps/measure.h"
#include "apps/random_prompt.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/placement.h"
#include "services/models/models.h"
#include "vision/decode/decode.h"

namespace lv::apps {
namespace {

constexpr std::string_view kRandom = "random:";

struct Flags {
  ModelFlags model;
  std::string input;
  std::string decode_device;  // empty: the model's
  std::string method = "tome";
  double keep = 0.3;
  int64_t frames = 8;
  int64_t clips = 16;
  int64_t together = 4;
  int64_t new_tokens = 64;
  int64_t step_tokens = llm::EngineLimits().step_tokens;
  int threads = 2;
};

/// Where the time of a clip went, in milliseconds. Reading and writing wait for the steps that
/// all clips share.
struct ClipTimes {
  double decode = 0, encode = 0, compress = 0, generate = 0;
  double total() const { return decode + encode + compress + generate; }
};

/// A clip from its file to the last token.
struct ClipRun {
  ClipTimes times;
  int64_t tokens_in = 0, tokens_out = 0, prompt_tokens = 0;
};

std::unique_ptr<const ComparedPrompt> prompt_of(const Flags& flags, const MediaRequest& clip) {
  if (!flags.model.model.starts_with(kRandom)) {
    return file_prompt(flags.model, {clip.name, clip.sampling});
  }
  return random_prompt({flags.model.model.substr(kRandom.size()), flags.model.device,
                        flags.model.dtype, flags.frames});
}

MediaRequest clip_of(const Flags& flags) {
  Sampling sampling;
  sampling.rule = UniformFrames{flags.frames};
  return media_request(flags.input.empty() ? services::sample_clip() : flags.input, sampling);
}

at::Device decode_device(const Flags& flags) {
  if (!flags.decode_device.empty()) return parse_placement(flags.decode_device, "float32").device;
  return has_cuda_kernels() ? parse_placement(flags.model.device, "float32").device : at::kCPU;
}

class Bench {
 public:
  explicit Bench(const Flags& flags)
      : flags_(flags),
        method_{flags.method, {{"keep", CLI::detail::to_string(flags.keep)}}},
        clip_(clip_of(flags)),
        decode_(vision::make_video_decode(flags.frames, decode_device(flags))),
        prompt_(prompt_of(flags, clip_)),
        engine_(prompt_->model(), limits()) {
    prompt_->check_method(method_);
  }

  void run() {
    run_all(flags_.together);  // warms up
    const auto start = Clock::now();
    const std::vector<ClipRun> runs = run_all(flags_.clips);
    report(runs, seconds_since(start));
  }

 private:
  llm::EngineLimits limits() const {
    llm::EngineLimits limits;
    limits.max_sequences = flags_.together;
    limits.step_tokens = flags_.step_tokens;
    limits.cached_tokens = 0;  // clips that are alike are read as if they were not
    return limits;
  }

  /// `count` clips, of which --together are under way: each has a thread of its own, and their
  /// prompts meet in the engine.
  std::vector<ClipRun> run_all(int64_t count) {
    std::vector<ClipRun> runs(static_cast<size_t>(count));
    std::atomic<int64_t> next = 0;
    std::vector<std::future<void>> workers;
    for (int64_t i = 0; i < std::min(count, flags_.together); ++i) {
      workers.push_back(std::async(std::launch::async, [&] {
        const c10::InferenceMode no_autograd;
        at::set_num_threads(flags_.threads);
        for (int64_t at = next++; at < count; at = next++)
          runs[static_cast<size_t>(at)] = run_one();
      }));
    }
    for (auto& worker : workers) worker.wait();  // before any of them throws
    for (auto& worker : workers) worker.get();
    return runs;
  }

  ClipRun run_one() {
    ClipRun run;
    auto start = Clock::now();
    const auto lap = [&start](double& slot) {
      slot = milliseconds_since(start);
      start = Clock::now();
    };
    std::vector<FrameBatch> frames = collect(*decode_->start(source_of_one(clip_)));
    lap(run.times.decode);
    VisualTokens visual = prompt_->encode(method_, std::move(frames));
    wait_for(visual.features);
    lap(run.times.encode);
    const VisualContext context = prompt_->compress(method_, visual);
    const auto* left = std::get_if<CompressedTokens>(&context);
    check(left != nullptr, ErrorCode::kUnimplemented,
          "bench clips: expected a method that leaves tokens, got " + method_.name);
    wait_for(left->embeddings);
    lap(run.times.compress);
    run.tokens_in =
        left->reports.empty() ? visual.features.size(0) : left->reports.front().tokens_in;
    run.tokens_out = left->embeddings.size(0);
    llm::EngineRequest request = prompt_->read(visual, *left);
    run.prompt_tokens = request.embeddings.size(0);
    request.options.max_tokens = flags_.new_tokens;
    request.context_tokens = run.prompt_tokens + flags_.new_tokens;
    check(request.context_tokens <= prompt_->context_tokens(), ErrorCode::kOutOfRange,
          "bench clips: expected at most " + std::to_string(prompt_->context_tokens()) +
              " tokens (the context), got " + std::to_string(request.context_tokens));
    const auto answer = engine_.start(std::move(request));  // no token ends it before its length
    while (answer->next()) continue;
    lap(run.times.generate);
    return run;
  }

  void report(const std::vector<ClipRun>& runs, double seconds) const {
    ClipTimes sum;
    std::vector<double> latency;
    for (const ClipRun& run : runs) {
      sum.decode += run.times.decode;
      sum.encode += run.times.encode;
      sum.compress += run.times.compress;
      sum.generate += run.times.generate;
      latency.push_back(run.times.total() / 1000);
    }
    Json out;
    out.set("bench", "clips");
    out.set("model", flags_.model.model);
    out.set("device", flags_.model.device);
    out.set("decode_device", decode_device(flags_).str());
    out.set("input", clip_.name);
    out.set("method", method_.name);
    out.set("keep", flags_.keep);
    out.set("clips", flags_.clips);
    out.set("together", flags_.together);
    out.set("threads", flags_.threads);
    out.set("frames", flags_.frames);
    out.set("tokens_in", runs.front().tokens_in);
    out.set("tokens_out", runs.front().tokens_out);
    out.set("prompt_tokens", runs.front().prompt_tokens);
    out.set("new_tokens", flags_.new_tokens);
    out.set("clips_per_hour", static_cast<double>(flags_.clips) / seconds * 3600);
    out.set("clip_seconds_p50", quantile(latency, 0.5));
    out.set("clip_seconds_p95", quantile(latency, 0.95));
    out.set("decode_share", sum.decode / sum.total());
    out.set("encode_share", sum.encode / sum.total());
    out.set("compress_share", sum.compress / sum.total());
    out.set("generate_share", sum.generate / sum.total());
    out.set("peak_memory_bytes", peak_bytes(prompt_->model()->shape().device));
    std::cout << out.dump() << std::endl;
  }

  const Flags& flags_;
  const Method method_;
  const MediaRequest clip_;
  const StagePtr<MediaRequest, FrameBatch> decode_;
  const std::unique_ptr<const ComparedPrompt> prompt_;
  llm::Engine engine_;
};

}  // namespace

void add_bench_clips(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "clips",
      "Time a clip from its file to the answer, again and again, several at a time; --model "
      "random:SHAPE reads between made-up text with random weights");
  command->add_option("--input", flags->input, "a video; the sample clip if none");
  flags->model.add_to(*command);
  command->add_option("--decode-device", flags->decode_device,
                      "what decodes the film; the model's device if this build can");
  command
      ->add_option("--method", flags->method,
                   "what leaves fewer visual tokens, one that needs no training")
      ->capture_default_str();
  command->add_option("--keep", flags->keep, "share of visual tokens kept")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  command->add_option("--frames", flags->frames, "of each clip")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--clips", flags->clips, "how many")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--together", flags->together, "under way at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--new-tokens", flags->new_tokens, "of each answer")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command->add_option("--step-tokens", flags->step_tokens, "of prompts read in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "of the CPU, for each clip")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->callback([flags] { Bench(*flags).run(); });
}

}  // namespace lv::apps
