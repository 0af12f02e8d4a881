// What stands in where a build has no services (LV_SERVICES=OFF).
#include "apps/bench_model.h"
#include "apps/commands.h"

namespace lv::apps {

void add_service_commands(CLI::App&) {}

void add_bench_clips(CLI::App&) {}

void add_bench_compress(CLI::App&) {}

void add_bench_decode(CLI::App&) {}

std::string checkpoint_of_name(const std::string& model) { return model; }

}  // namespace lv::apps
