#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/compression_comparison.h"
#include "apps/random_model.h"
#include "apps/random_prompt.h"

namespace lv::apps {
namespace {

struct Flags {
  RandomPromptOptions prompt;
  ComparisonFlags comparison;
};

}  // namespace

void add_bench_compress_random(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "compress-random", "The same with random weights and a made-up film, for times of a shape");
  std::string shapes;
  for (const std::string& name : random_models(/*seeing=*/true)) {
    shapes += (shapes.empty() ? "" : ", ") + name;
  }
  command->add_option("--model", flags->prompt.model, shapes)->capture_default_str();
  command->add_option("--device", flags->prompt.device, "cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--dtype", flags->prompt.dtype, "auto, float32, bfloat16 or float16")
      ->capture_default_str();
  command->add_option("--frames", flags->prompt.frames, "of the film, encoded at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--text-tokens", flags->prompt.text_tokens, "around the film")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  flags->comparison.add_to(*command);
  command->callback([flags] { compare_methods(*random_prompt(flags->prompt), flags->comparison); });
}

}  // namespace lv::apps
