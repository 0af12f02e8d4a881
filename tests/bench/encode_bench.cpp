#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"
#include "vision/encoders/encoder_replay.h"

// encode_bench MODEL DEVICE DTYPE PICTURES [REPEATS [KEEP [plain] [decreasing]]]: milliseconds in
// which an image encoder reads a batch of random pictures that are on its device already, median
// after three to warm up, with the share KEEP of their tokens left by merging between its layers
// (all by default); "plain" does not let a merged token count more than another in attention,
// "decreasing" merges most in the first layers. One line of JSON, with the share of the time that
// matching and merging took; on a GPU, took to be queued. tests/peers/clip_vision_compare.py runs
// it beside transformers.

namespace lv {
namespace {

constexpr int kWarmUp = 3;

struct Timed {
  double milliseconds = 0, merging_milliseconds = 0;
};

Timed timed(const vision::EncoderReplay& encoder, const at::Tensor& pixels,
            const vision::LayerMerging& merging) {
  const auto start = std::chrono::steady_clock::now();
  const vision::PictureFeatures made = encoder.encode(pixels, merging);
  made.features.flatten()[0].item<float>();  // waits for the device
  const auto took = std::chrono::steady_clock::now() - start;
  return {std::chrono::duration<double, std::milli>(took).count(),
          made.merged ? made.merged->milliseconds : 0};
}

void run(const std::string& path, const std::string& device, const std::string& dtype,
         int64_t pictures, int repeats, const vision::LayerMerging& merging) {
  const Checkpoint whole = open_checkpoint(path, parse_placement(device, dtype));
  const Checkpoint checkpoint = has_vision(whole) ? vision_part(whole) : whole;
  const vision::EncoderReplay encoder(vision::make_image_encoder(checkpoint));
  const int64_t side = checkpoint.config().at("image_size").as_int();
  const Computing place = checkpoint.computing();
  const at::Tensor pixels = at::randn({pictures, 3, side, side}).to(place.device, place.dtype);
  std::vector<Timed> times;
  for (int i = 0; i < repeats + kWarmUp; ++i) {
    times.push_back(timed(encoder, pixels, merging));
  }
  times.erase(times.begin(), times.begin() + kWarmUp);
  std::ranges::sort(times, {}, &Timed::milliseconds);
  const auto [median, merging_median] = times[times.size() / 2];
  std::printf(
      "{\"bench\": \"encode\", \"device\": \"%s\", \"dtype\": \"%s\", \"pictures\": %lld, "
      "\"keep\": %g, "
      "\"milliseconds\": %.2f, \"pictures_per_second\": %.1f, \"merging_share\": %.3f}\n",
      device.c_str(), dtype.c_str(), static_cast<long long>(pictures), merging.keep, median,
      1000 * static_cast<double>(pictures) / median, merging_median / median);
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  const c10::InferenceMode no_autograd;
  if (argc < 5) {
    std::fprintf(
        stderr, "encode_bench MODEL DEVICE DTYPE PICTURES [REPEATS [KEEP [plain] [decreasing]]]\n");
    return 2;
  }
  try {
    lv::vision::LayerMerging merging;
    if (argc > 6) merging.keep = std::stod(argv[6]);
    for (int i = 7; i < argc; ++i) {
      const std::string word = argv[i];
      if (word == "plain") merging.attention = lv::vision::LayerMerging::Attention::kPlain;
      if (word == "decreasing") merging.schedule = lv::vision::LayerMerging::Schedule::kDecreasing;
    }
    lv::run(argv[1], argv[2], argv[3], std::stoll(argv[4]), argc > 5 ? std::stoi(argv[5]) : 10,
            merging);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "encode_bench: %s\n", problem.what());
    return 1;
  }
  return 0;
}
