#pragma once

#include <string>
#include <string_view>

namespace lv::apps {

/// Says on standard error how far long work has come: a bar on a terminal, a plain line a stage
/// elsewhere. Not thread-safe.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `share_done` of the work called `stage`, in [0, 1].
  void show(std::string_view stage, double share_done);
  /// Takes the bar off the terminal.
  void clear();

 private:
  bool terminal_;
  std::string last_;
};

}  // namespace lv::apps
