#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/compression_comparison.h"
#include "apps/file_prompt.h"
#include "apps/flags.h"

namespace lv::apps {
namespace {

struct Flags {
  ModelFlags model;
  SamplingFlags sampling;
  ComparisonFlags comparison;
  FilmQuestion asked;
};

}  // namespace

void add_bench_compress(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "compress", "Compare methods that leave fewer visual tokens with keeping all of them");
  command->add_option("--input", flags->asked.input, "a video or picture; the sample clip if none");
  flags->sampling.add_to(*command);
  flags->comparison.add_to(*command);
  command->add_option("--question", flags->asked.question, "what is asked")->capture_default_str();
  flags->model.add_to(*command);
  command->callback([flags] {
    flags->asked.sampling = flags->sampling.sampling();
    compare_methods(*file_prompt(flags->model, flags->asked), flags->comparison);
  });
}

}  // namespace lv::apps
