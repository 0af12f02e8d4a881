#pragma once

#include <CLI/CLI.hpp>

// Each adds one subcommand to the program. When the command line names it, its callback runs it.
namespace lv::apps {

/// All that need services; none in a build without them.
void add_service_commands(CLI::App& program);
void add_ask(CLI::App& program);
void add_caption(CLI::App& program);
void add_transcribe(CLI::App& program);
void add_risk(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_serve(CLI::App& program);
void add_parity(CLI::App& program);
void add_models(CLI::App& program);

/// The subcommands of `bench` are a file each.
void add_bench(CLI::App& program);
void add_bench_clips(CLI::App& bench);     // nothing in a build without services
void add_bench_compress(CLI::App& bench);  // likewise
void add_bench_compress_random(CLI::App& bench);
void add_bench_decode(CLI::App& bench);  // likewise
void add_bench_llm(CLI::App& bench);
void add_bench_plan(CLI::App& bench);

}  // namespace lv::apps
