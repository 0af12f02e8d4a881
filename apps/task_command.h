#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "services/tasks/task_run.h"

namespace lv::apps {

/// Runs a task with its progress on standard error, then prints its result: as JSON, or by `print`.
void run_task(bool json,
              const std::function<services::TaskResult(const services::TaskObserver&)>& task,
              const std::function<void(const services::TaskResult&)>& print);

/// The text, and that of each part in time where there are several; warnings on standard error.
void print_parts(const services::TaskResult& result);

/// A line each, on standard error.
void print_warnings(const services::TaskResult& result);

/// --server, beside which no model is chosen here.
CLI::Option* add_server_flag(CLI::App& command, std::string& address);

}  // namespace lv::apps
