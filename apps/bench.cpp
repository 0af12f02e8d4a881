#include "apps/commands.h"

namespace lv::apps {

void add_bench(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("bench", "Timings and comparisons, a line of JSON a case");
  command->require_subcommand(1);
  add_bench_clips(*command);
  add_bench_compress(*command);
  add_bench_compress_random(*command);
  add_bench_decode(*command);
  add_bench_llm(*command);
  add_bench_plan(*command);
}

}  // namespace lv::apps
