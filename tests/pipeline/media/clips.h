#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/types/frames.h"
#include "pipeline/types/media.h"

namespace lv {

/// Films whose pictures say which they are. Each picture has ten upright stripes: red, the eight
/// bits of its index from the lowest (white 1, black 0), blue.
struct Clip {
  int frames = 40;
  int width = 80;
  int height = 48;
  std::string filter;  // of the ffmpeg program; "" for none
  std::string encode;  // its output options
};

constexpr char kH264[] =
    "-c:v libx264 -preset veryfast -bf 2 -g 10 -sc_threshold 0 -pix_fmt yuv420p";

/// The films of 40 pictures that tests share, by container, codec and what is odd about them.
std::string film(const std::string& name);
/// Makes the film at 25 pictures/s with the ffmpeg program; its path. Made once per process: the
/// same name must mean the same clip.
std::string clip(const std::string& name, const Clip& what = {.filter = "", .encode = kH264});
/// Runs the ffmpeg program with these options; the path of the file called `name` that they made.
/// Options may hold {NAME}, which becomes the path of a file made before.
std::string made_by_ffmpeg(const std::string& name, const std::string& options);
/// Writes a file; its path.
std::string made_of(const std::string& name, const std::string& bytes);

/// The index that a picture [H, W, 3] carries, -1 if the end stripes are not red and blue.
int index_of(const at::Tensor& pixels);

/// Everything that was decoded of a request.
struct Decoded {
  std::vector<int> indices;
  std::vector<double> pts_seconds;
  std::vector<at::Tensor> pixels;
  std::vector<std::string> warnings;
  MediaInfo media;
};
Decoded decode(const MediaRequest& request);

MediaRequest request_of(const std::string& path, SamplingRule rule = FramesPerSecond{1000});
MediaRequest request_of_bytes(std::string bytes, SamplingRule rule = FramesPerSecond{1000});

}  // namespace lv
