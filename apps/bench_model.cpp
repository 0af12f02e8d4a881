#include "apps/bench_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

#include <iterator>
#include <sstream>

#include "apps/commands.h"
#include "apps/random_model.h"
#include "pipeline/base/error.h"
#include "pipeline/base/read_file.h"

namespace lv::apps {
namespace {

constexpr std::string_view kRandom = "random:";
constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

}  // namespace

void BenchModel::add_to(CLI::App& command) {
  std::string shapes;
  for (const std::string& name : random_models()) shapes += " random:" + name;
  command
      .add_option("--model", model,
                  "a name that `longview models` lists, a folder, a .gguf file, or random weights "
                  "of a known shape:" +
                      shapes)
      ->capture_default_str();
  command.add_option("--device", device, "cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--dtype", dtype, "auto, float32, bfloat16 or float16")->capture_default_str();
  command.add_option("--threads", threads, "of the CPU")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  auto* given = command.add_option_group("prompt", "What is read (default: made-up tokens)");
  given->add_option("--text", text, "a file of text");
  given->add_option("--ids", ids, "a file of token ids between spaces");
  given->require_option(0, 1);
}

Checkpoint BenchModel::open() const {
  at::set_num_threads(threads);
  const Placement placement = parse_placement(device, dtype);
  if (model.starts_with(kRandom)) return random_model(model.substr(kRandom.size()), placement);
  return open_checkpoint(checkpoint_of_name(model), placement);
}

std::vector<int64_t> BenchModel::token_ids(const Checkpoint& checkpoint, int64_t vocabulary,
                                           int64_t count, int64_t seed) const {
  std::vector<int64_t> all;
  if (!ids.empty()) {
    std::istringstream in(file_contents(ids, kMaxTextBytes));
    all.assign(std::istream_iterator<int64_t>(in), {});
  } else if (!text.empty()) {
    all = tokenize(checkpoint, file_contents(text, kMaxTextBytes));
  } else {
    for (int64_t i = 0; i < count; ++i) all.push_back((i * 7919 + 13 + seed * 101) % vocabulary);
  }
  check(static_cast<int64_t>(all.size()) >= count, ErrorCode::kInvalidArgument,
        "prompt: expected at least " + std::to_string(count) + " tokens, got " +
            std::to_string(all.size()));
  all.resize(static_cast<size_t>(count));
  return all;
}

int64_t peak_bytes(at::Device device) {
  if (!device.is_cpu()) {
    const auto stats = c10::getDeviceAllocator(device.type())
                           ->getDeviceStats(device.has_index() ? device.index() : 0);
    return stats.allocated_bytes[0].peak;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace lv::apps
