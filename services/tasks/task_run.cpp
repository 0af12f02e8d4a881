#include "services/tasks/task_run.h"

namespace lv::services {

TaskRun::TaskRun(const std::string& task, const std::string& model,
                 const std::vector<MediaRequest>& asked_sources, const Stages& all_stages,
                 const std::vector<CompressionSpec>& compression, const TaskObserver& told)
    : sources(asked_sources),
      observer(told),
      stages(all_stages),
      encode(all_stages.encode(compression)),
      compressor(all_stages.compress(compression)) {
  result.task = task;
  result.model = model;
  for (const MediaRequest& source : sources) result.sources.push_back({source.name, {}});
}

}  // namespace lv::services
