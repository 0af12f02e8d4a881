#include "tests/pipeline/media/clips.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"
#include "vision/decode/decode.h"

namespace lv {
namespace {

constexpr int kStripes = 10;

const TemporaryFolder& folder() {
  static const TemporaryFolder all;
  return all;
}

void run(const std::string& command) {
  check(std::system(command.c_str()) == 0, ErrorCode::kInternal, "failed: " + command);
}

std::string raw_pictures(const Clip& what) {
  const std::string name =
      folder() / ("raw" + std::to_string(what.frames) + "_" + std::to_string(what.width) + "_" +
                  std::to_string(what.height) + ".rgb");
  if (std::filesystem::exists(name)) return name;
  std::string bytes;
  for (int i = 0; i < what.frames; ++i) {
    for (int y = 0; y < what.height; ++y) {
      for (int x = 0; x < what.width; ++x) {
        const int stripe = x * kStripes / what.width;
        if (stripe == 0) {
          bytes += {'\xff', '\0', '\0'};
        } else if (stripe == kStripes - 1) {
          bytes += {'\0', '\0', '\xff'};
        } else {
          bytes.append(3, (i >> (stripe - 1) & 1) != 0 ? '\xff' : '\0');
        }
      }
    }
  }
  write_file(name, bytes);
  return name;
}

}  // namespace

std::string made_by_ffmpeg(const std::string& name, const std::string& options) {
  const std::string path = folder() / name;
  if (std::filesystem::exists(path)) return path;
  std::string all = options;
  for (size_t open = all.find('{'); open != std::string::npos; open = all.find('{')) {
    const size_t close = all.find('}', open);
    all.replace(open, close - open + 1, folder() / all.substr(open + 1, close - open - 1));
  }
  run("ffmpeg -nostdin -v error -y " + all + " -threads 1 " + path + " 2>/dev/null");
  return path;
}

std::string made_of(const std::string& name, const std::string& bytes) {
  write_file(folder() / name, bytes);
  return folder() / name;
}

std::string clip(const std::string& name, const Clip& what) {
  return made_by_ffmpeg(name, "-f rawvideo -pix_fmt rgb24 -r 25 -s " + std::to_string(what.width) +
                                  "x" + std::to_string(what.height) + " -i " + raw_pictures(what) +
                                  (what.filter.empty() ? "" : " -vf " + what.filter) + " " +
                                  what.encode);
}

std::string film(const std::string& name) {
  if (name == "edit.mp4") {
    film("a.mp4");
    return made_by_ffmpeg(name, "-ss 0.52 -i {a.mp4} -c copy");
  }
  if (name.starts_with("vfr.")) {
    // Picture n is shown at 40 n + 10 (n mod 3) + n^2 milliseconds.
    return clip(name, {.filter = "\"settb=1/1000,setpts='40*N+10*mod(N,3)+N*N'\"",
                       .encode = std::string(kH264) + " -vsync passthrough -enc_time_base 1/1000"});
  }
  if (name.starts_with("late.")) {
    return clip(name, {.filter = "", .encode = std::string(kH264) + " -output_ts_offset 7.5"});
  }
  static const std::map<std::string, std::string> kEncoders{
      {"a.mp4", kH264},
      {"b.mkv", kH264},
      {"c.mov", "-c:v mjpeg -q:v 2"},
      {"d.ts", kH264},
      {"e.avi", "-c:v mpeg4 -q:v 2 -g 10"},
      {"f.mp4", "-c:v mpeg4 -q:v 2 -g 10 -bf 2"},
      {"g.mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=10:bframes=2"},
      {"h.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 10 -b:v 900k"},
      {"i.flv", kH264},
      {"j.mpg", "-c:v mpeg2video -q:v 2 -g 10 -bf 2"},
      {"k.avi", "-c:v mjpeg -q:v 2"},
      {"l.webm", "-c:v libvpx -b:v 900k -g 10"}};
  return clip(name, {.filter = "", .encode = kEncoders.at(name)});
}

int index_of(const at::Tensor& pixels) {
  const int64_t width = pixels.size(1), row = pixels.size(0) / 2;
  const auto value = [&](int stripe, int channel) {
    const int64_t column = (2 * stripe + 1) * width / (2 * kStripes);
    return pixels[row][column][channel].item<int>();
  };
  const bool good = value(0, 0) > 128 && value(0, 2) < 128 && value(kStripes - 1, 2) > 128 &&
                    value(kStripes - 1, 0) < 128;
  if (!good) return -1;
  int index = 0;
  for (int bit = 0; bit < kStripes - 2; ++bit) index |= (value(bit + 1, 1) > 128 ? 1 : 0) << bit;
  return index;
}

Decoded decode(const MediaRequest& request) {
  const auto stage = vision::make_video_decode(7);
  const SourcePtr<FrameBatch> batches = stage->start(source_of_one(request));
  Decoded all;
  while (const std::optional<FrameBatch> batch = batches->next()) {
    validate(*batch);
    for (int64_t i = 0; i < batch->pixels.size(0); ++i) {
      all.pixels.push_back(batch->pixels[i]);
      all.indices.push_back(index_of(batch->pixels[i]));
      all.pts_seconds.push_back(batch->pts_seconds[i].item<double>());
    }
    all.warnings.insert(all.warnings.end(), batch->warnings.begin(), batch->warnings.end());
    all.media = batch->media;
  }
  return all;
}

MediaRequest request_of(const std::string& path, SamplingRule rule) {
  MediaRequest request;
  request.media = path;
  request.sampling.rule = std::move(rule);
  return request;
}

MediaRequest request_of_bytes(std::string bytes, SamplingRule rule) {
  MediaRequest request;
  request.media = std::make_shared<const std::string>(std::move(bytes));
  request.name = "upload";
  request.sampling.rule = std::move(rule);
  return request;
}

}  // namespace lv
