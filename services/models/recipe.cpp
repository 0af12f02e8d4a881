#include "services/models/recipe.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pipeline/base/error.h"
#include "services/models/home.h"

namespace lv::services {
namespace {

constexpr const char* kPython = "/usr/bin/python3";  // as ./longview prefers it

/// A file in memory that another process writes.
class Written {
 public:
  explicit Written(const char* name) : file_(::memfd_create(name, MFD_CLOEXEC)) {
    check(file_ >= 0, ErrorCode::kResourceExhausted, "recipe: no memory for what it writes");
  }
  ~Written() { ::close(file_); }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  int file() const { return file_; }

  std::string text() const {
    std::string all(static_cast<size_t>(::lseek(file_, 0, SEEK_END)), '\0');
    size_t at = 0;
    while (at < all.size()) {
      const ssize_t got = ::pread(file_, &all[at], all.size() - at, static_cast<off_t>(at));
      check(got > 0, ErrorCode::kDataLoss, "recipe: what it wrote cannot be read");
      at += static_cast<size_t>(got);
    }
    return all;
  }

 private:
  int file_;
};

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

}  // namespace

std::string recipe_assets() { return home() + "/.deps/nano-recipe"; }

std::string run_recipe(const std::vector<std::string>& words) {
  std::vector<std::string> line = {"python3", "-m", "recipe"};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const Written output("output"), complaints("complaints");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, (home() + "/models/nano").c_str());
  posix_spawn_file_actions_adddup2(&actions, output.file(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, complaints.file(), STDERR_FILENO);
  const char* python = ::access(kPython, X_OK) == 0 ? kPython : "python3";
  pid_t process = 0;
  const int failed = ::posix_spawnp(&process, python, &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  check(failed == 0, ErrorCode::kFailedPrecondition,
        "recipe: Python 3 cannot be started: " + std::string(std::strerror(failed)));
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  check(done, ErrorCode::kFailedPrecondition, last_line(complaints.text()));
  return output.text();
}

}  // namespace lv::services
