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
#include "vision/encoders/image_encoder.h"

// encode_bench MODEL DEVICE DTYPE PICTURES [REPEATS]: milliseconds in which an image encoder reads
// a batch of random pictures that are on its device already, median after two to warm up. One line
// of JSON. tests/peers/clip_vision_compare.py runs it beside transformers.

namespace lv {
namespace {

double milliseconds(const vision::ImageEncoder& encoder, const at::Tensor& pixels) {
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor features = encoder.encode(pixels).features;
  features.flatten()[0].item<float>();  // waits for the device
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void run(const std::string& path, const std::string& device, const std::string& dtype,
         int64_t pictures, int repeats) {
  const Checkpoint whole = open_checkpoint(path, parse_placement(device, dtype));
  const Checkpoint checkpoint = has_vision(whole) ? vision_part(whole) : whole;
  const auto encoder = vision::make_image_encoder(checkpoint);
  const int64_t side = checkpoint.config().at("image_size").as_int();
  const Computing place = checkpoint.computing();
  const at::Tensor pixels = at::randn({pictures, 3, side, side}).to(place.device, place.dtype);
  std::vector<double> times;
  for (int i = 0; i < repeats + 2; ++i) times.push_back(milliseconds(*encoder, pixels));
  times.erase(times.begin(), times.begin() + 2);
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  std::printf(
      "{\"bench\": \"encode\", \"device\": \"%s\", \"dtype\": \"%s\", \"pictures\": %lld, "
      "\"milliseconds\": %.2f, \"pictures_per_second\": %.1f}\n",
      device.c_str(), dtype.c_str(), static_cast<long long>(pictures), median,
      1000 * static_cast<double>(pictures) / median);
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  const c10::InferenceMode no_autograd;
  if (argc < 5) {
    std::fprintf(stderr, "encode_bench MODEL DEVICE DTYPE PICTURES [REPEATS]\n");
    return 2;
  }
  try {
    lv::run(argv[1], argv[2], argv[3], std::stoll(argv[4]), argc > 5 ? std::stoi(argv[5]) : 10);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "encode_bench: %s\n", problem.what());
    return 1;
  }
  return 0;
}
