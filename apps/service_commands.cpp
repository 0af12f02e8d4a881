#include "apps/bench_model.h"
#include "apps/commands.h"
#include "services/models/models.h"

namespace lv::apps {

void add_service_commands(CLI::App& program) {
  add_caption(program);
  add_ask(program);
  add_transcribe(program);
  add_risk(program);
  add_evaluate(program);
  add_serve(program);
  add_models(program);
}

std::string checkpoint_of_name(const std::string& model) {
  return services::language_checkpoint(model);
}

}  // namespace lv::apps
