#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "vision/compressors/compressors.h"

// compress_bench [FRAMES [TOKENS [WIDTH [DRIFT [REPEATS [DEVICE]]]]]]: what each compressor takes
// and leaves of a film of two scenes, each a picture that drifts by DRIFT of its own length a
// frame: by default 32 frames of 196 tokens of 3584 numbers, as LLaVA-OneVision 7B reads them.
// Median milliseconds after two to warm up, with the report's own fidelity. A line of JSON for each
// method and share.

namespace lv {
namespace {

constexpr int kWarmUp = 2;

struct Size {
  int64_t frames = 32, tokens = 196, width = 3584;
  double drift = 0.3;
};

ClipTokens film_of(const Size& size, const at::Device& device) {
  at::manual_seed(1);
  const at::Tensor half = (at::arange(size.frames, at::kLong) * 2).floor_divide(size.frames);
  const at::Tensor pictures = at::randn({2, size.tokens, size.width}).index_select(0, half);
  const at::Tensor film = pictures + size.drift * at::randn({size.frames, size.tokens, size.width});
  const int64_t total = size.frames * size.tokens;
  ClipTokens clip;
  clip.visual.features = film.flatten(0, 1).to(device);
  clip.visual.saliency = at::rand({total}).to(device);
  clip.visual.offsets = at::arange(0, total + 1, size.tokens, at::kInt);
  const auto side = static_cast<int32_t>(std::sqrt(static_cast<double>(size.tokens)));
  const PatchGrid square{side, side}, row{1, static_cast<int32_t>(size.tokens)};
  clip.visual.grids.assign(size.frames, side * side == size.tokens ? square : row);
  const at::Tensor pts =
      at::arange(size.frames, at::kDouble).repeat_interleave(size.tokens).to(device);
  clip.visual.origin = {pts, at::zeros({total}, pts.options().dtype(at::kInt)),
                        at::tensor({0.f, 0.f, 1.f, 1.f}).expand({total, 4}).contiguous().to(device),
                        at::full({total}, kObserved, pts.options().dtype(at::kByte)),
                        at::zeros({total, 2}, pts.options().dtype(at::kInt))};
  return clip;
}

void run(const std::string& method, const std::string& keep, const ClipTokens& clip,
         const Size& size, int repeats) {
  const bool all = method == "keep_all";
  const auto compressor =
      vision::compressors().make(method, Params::parse(all ? "" : "keep=" + keep));
  std::vector<double> times;
  CompressionReport report;
  for (int i = 0; i < repeats + kWarmUp; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto left = std::get<CompressedTokens>(compressor->map(clip));
    left.embeddings.flatten().slice(0, 0, 1).sum().item<float>();  // waits for the device
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
    report = left.reports.back();
  }
  times.erase(times.begin(), times.begin() + kWarmUp);
  std::sort(times.begin(), times.end());
  std::printf(
      "{\"bench\": \"compress\", \"method\": \"%s\", \"keep\": %s, \"frames\": %lld, \"tokens\": "
      "%lld, \"width\": %lld, \"tokens_out\": %lld, \"milliseconds\": %.2f, \"fidelity\": %.4f}\n",
      method.c_str(), all ? "1" : keep.c_str(), static_cast<long long>(size.frames),
      static_cast<long long>(size.tokens), static_cast<long long>(size.width),
      static_cast<long long>(report.tokens_out), times[times.size() / 2], report.fidelity);
  std::fflush(stdout);
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  const c10::InferenceMode no_autograd;
  const auto given = [&](int i) { return argc > i; };
  try {
    lv::Size size;
    if (given(1)) size.frames = std::stoll(argv[1]);
    if (given(2)) size.tokens = std::stoll(argv[2]);
    if (given(3)) size.width = std::stoll(argv[3]);
    if (given(4)) size.drift = std::stod(argv[4]);
    const int repeats = given(5) ? std::stoi(argv[5]) : 5;
    const lv::ClipTokens clip = lv::film_of(size, at::Device(given(6) ? argv[6] : "cpu"));
    for (const std::string& method : lv::vision::compressors().names()) {
      for (const char* keep : {"1", "0.5", "0.25", "0.1", "0.05"}) {
        lv::run(method, keep, clip, size, repeats);
        if (method == "keep_all") break;
      }
    }
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "compress_bench: %s\n", problem.what());
    return 1;
  }
  return 0;
}
