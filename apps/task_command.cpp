#include "apps/task_command.h"

#include <iostream>

#include "apps/output.h"
#include "apps/progress.h"

namespace lv::apps {

void run_task(bool json,
              const std::function<services::TaskResult(const services::TaskObserver&)>& task,
              const std::function<void(const services::TaskResult&)>& print) {
  Progress progress;
  services::TaskObserver observer;
  observer.progress = [&progress](std::string_view stage, double share) {
    progress.show(stage, share);
  };
  const services::TaskResult result = task(observer);
  progress.clear();
  if (json) {
    std::cout << services::to_json(result).dump() << "\n";
  } else {
    print(result);
  }
}

void print_parts(const services::TaskResult& result) {
  std::cout << result.text << "\n";
  if (result.segments.size() > 1) {
    std::cout << "\n";
    for (const services::Segment& segment : result.segments) {
      std::cout << clock_text(segment.start_seconds) << "-" << clock_text(segment.end_seconds)
                << "  " << segment.text << "\n";
    }
  }
  print_warnings(result);
}

void print_warnings(const services::TaskResult& result) {
  for (const std::string& warning : result.warnings) {
    std::cerr << "longview: warning: " << printable(warning) << "\n";
  }
}

CLI::Option* add_server_flag(CLI::App& command, std::string& address) {
  return command
      .add_option("--server", address, "HOST:PORT of a running `longview serve` that does the work")
      ->excludes("--upstream", "--model", "--mmproj");
}

}  // namespace lv::apps
