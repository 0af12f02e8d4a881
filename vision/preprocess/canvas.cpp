#include "vision/preprocess/canvas.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace lv::vision {
namespace {

double ratio(int64_t to, int64_t from) {
  return static_cast<double>(to) / static_cast<double>(from);
}

PictureSize fitted(PictureSize picture, PictureSize canvas) {
  const double across = ratio(canvas.width, picture.width);
  const double down = ratio(canvas.height, picture.height);
  const auto up = [](int64_t side, double scale, int64_t most) {
    const auto scaled = static_cast<int64_t>(std::ceil(static_cast<double>(side) * scale));
    return std::clamp<int64_t>(scaled, 1, most);
  };
  if (across < down) return {up(picture.height, across, canvas.height), canvas.width};
  return {canvas.height, up(picture.width, down, canvas.width)};
}

}  // namespace

PictureSize best_canvas(PictureSize picture, const std::vector<PictureSize>& canvases) {
  PictureSize best = canvases.front();
  int64_t most = -1, least = 0;
  for (const PictureSize& canvas : canvases) {
    const double scale =
        std::min(ratio(canvas.width, picture.width), ratio(canvas.height, picture.height));
    const auto length = [scale](int64_t side) {
      return static_cast<int64_t>(static_cast<double>(side) * scale);
    };
    const int64_t kept =
        std::min(length(picture.width) * length(picture.height), picture.width * picture.height);
    const int64_t wasted = canvas.width * canvas.height - kept;
    if (kept < most || (kept == most && wasted >= least)) continue;
    best = canvas;
    most = kept;
    least = wasted;
  }
  return best;
}

CanvasTiles tiles_on_canvas(const at::Tensor& picture, PictureSize canvas, int64_t side,
                            Filter filter) {
  const PictureSize scaled = fitted({picture.size(0), picture.size(1)}, canvas);
  const int64_t top = (canvas.height - scaled.height) / 2;
  const int64_t left = (canvas.width - scaled.width) / 2;
  at::Tensor padded = at::zeros({canvas.height, canvas.width, 3}, picture.options());
  padded.narrow(0, top, scaled.height)
      .narrow(1, left, scaled.width)
      .copy_(resample(picture, scaled.height, scaled.width, filter));
  const auto across = [&](int64_t x) { return static_cast<float>(ratio(x - left, scaled.width)); };
  const auto down = [&](int64_t y) { return static_cast<float>(ratio(y - top, scaled.height)); };
  CanvasTiles tiles;
  tiles.grid = {static_cast<int32_t>(canvas.height / side),
                static_cast<int32_t>(canvas.width / side)};
  for (int64_t y = 0; y < canvas.height; y += side) {
    for (int64_t x = 0; x < canvas.width; x += side) {
      tiles.pictures.push_back(padded.narrow(0, y, side).narrow(1, x, side));
      tiles.boxes.push_back(at::tensor({across(x), down(y), across(x + side), down(y + side)}));
    }
  }
  return tiles;
}

}  // namespace lv::vision
