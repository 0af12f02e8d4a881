// What stands in where a build has no services (LV_SERVICES=OFF).
#include "apps/commands.h"

namespace lv::apps {

void add_service_commands(CLI::App&) {}

}  // namespace lv::apps
