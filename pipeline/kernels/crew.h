#pragma once

#include <cstdint>
#include <functional>

namespace lv {

/// work(0) .. work(tasks - 1), each once, by the calling thread and up to `threads` - 1 others.
/// Each takes the next task that nobody has, so nobody waits for a thread that has no core just
/// now; returns when all are done. Tasks must not throw. Within a task, and while another caller
/// has the others, the calling thread does all of them itself.
///
/// For tasks of some tens of microseconds, many in a row: whoever helped looks out for more for a
/// tenth of a millisecond before it sleeps. at::parallel_for() divides evenly beforehand and, where
/// OpenMP's threads sleep at once, wakes them each time.
void share_tasks(int64_t tasks, int64_t threads, const std::function<void(int64_t)>& work);

}  // namespace lv
