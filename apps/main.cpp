#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "apps/commands.h"
#include "pipeline/base/error.h"

namespace {

constexpr int kFailure = 1;
constexpr int kWrongUse = 2;

/// One line on standard error, whatever the text holds.
int complain(const std::string& text, int status) {
  std::string line = text.substr(0, text.find('\n'));
  std::cerr << "longview: " << line << "\n";
  return status;
}

/// Starts the program again with threads that sleep while they wait, unless the caller chose.
/// Spinning ones take the cores from whatever else runs: on two shared cores a caption took three
/// times as long. OpenMP reads this before main().
void wait_without_spinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", argv);
}

int run(int argc, char** argv) {
  CLI::App program{"Longview reads video, pictures, sound and documents, and says what is in them.",
                   "longview"};
  program.require_subcommand(1);
  program.set_version_flag("--version", "longview 0.1.0");
  lv::apps::add_service_commands(program);
  lv::apps::add_parity(program);
  lv::apps::add_bench(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& wanted) {  // --help, --version
    return program.exit(wanted);
  } catch (const CLI::RuntimeError& ended) {  // a command's own exit status, already explained
    return ended.get_exit_code();
  } catch (const CLI::ParseError& problem) {
    return complain(std::string(problem.what()) + " (see longview --help)", kWrongUse);
  } catch (const lv::Error& problem) {
    return complain(problem.what(), kFailure);
  } catch (const c10::Error& problem) {
    return complain(problem.what_without_backtrace(), kFailure);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kFailure);
  } catch (const std::exception& problem) {
    return complain(problem.what(), kFailure);
  }
}

}  // namespace

int main(int argc, char** argv) {
  wait_without_spinning(argv);
  std::signal(SIGPIPE, SIG_IGN);
  c10::InferenceMode no_autograd;
  return run(argc, argv);
}
