#include "apps/commands.h"

namespace lv::apps {

void add_service_commands(CLI::App& program) {
  add_caption(program);
  add_transcribe(program);
  add_serve(program);
  add_models(program);
}

}  // namespace lv::apps
