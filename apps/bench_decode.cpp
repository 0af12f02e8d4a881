#include <sys/resource.h>

#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/measure.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "pipeline/media/frame_reader.h"
#include "pipeline/media/gpu_pictures.h"
#include "pipeline/weights/placement.h"
#include "services/models/models.h"
#include "services/tasks/result.h"

namespace lv::apps {
namespace {

struct Flags {
  std::string input;
  std::string device = "cpu";
  std::vector<int64_t> sessions = {1};
  int threads = 1;
  int64_t repeat = 3;
};

/// What a session found in the film.
struct Decoded {
  int64_t frames = 0;
  int width = 0, height = 0;  // of the last frame
  std::string codec;
  std::vector<std::string> warnings;
};

/// Decodes a film's pictures as they are stored, headers included, and keeps none.
Decoded decode_film(const MediaRequest& request, const DecodeOn& on) {
  const MediaInput input(request);
  Warnings warnings(input.name());
  Demuxer demuxer(input, request.limits, warnings);
  const std::optional<int> stream = demuxer.best_stream(AVMEDIA_TYPE_VIDEO);
  check(stream.has_value(), ErrorCode::kNotFound, input.name() + ": no video stream");
  FrameReader reader(demuxer, *stream, request.limits, on, warnings);
  Decoded film;
  film.codec = avcodec_get_name(reader.stream().codecpar->codec_id);
  while (const std::optional<TimedFrame> decoded = reader.next()) {
    ++film.frames;
    check(on.device.is_cpu() || is_on_gpu(*decoded->frame), ErrorCode::kUnimplemented,
          input.name() + ": " + on.device.str() + " cannot decode this " + film.codec +
              " film; the CPU can");
    film.width = decoded->frame->width;
    film.height = decoded->frame->height;
  }
  film.warnings = warnings.take();
  check(film.frames > 0, ErrorCode::kDataLoss, input.name() + ": no frame can be decoded");
  return film;
}

/// Seconds that this process has computed, on all cores together.
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Bench {
 public:
  explicit Bench(const Flags& flags)
      : flags_(flags),
        on_{flags.threads, parse_placement(flags.device, "float32").device},
        request_(media_request(flags.input.empty() ? services::sample_clip() : flags.input)) {}

  void run() {
    film_ = decode_film(request_, on_);  // warms up, too
    for (const std::string& line : film_.warnings) std::cerr << "longview: " << line << "\n";
    for (const int64_t sessions : flags_.sessions) report(sessions);
  }

 private:
  /// All sessions read the whole film at the same time.
  void decode_together(int64_t sessions) const {
    std::vector<std::future<Decoded>> running;
    for (int64_t i = 0; i < sessions; ++i) {
      running.push_back(
          std::async(std::launch::async, [this] { return decode_film(request_, on_); }));
    }
    for (auto& session : running) {
      const int64_t frames = session.get().frames;
      check(frames == film_.frames, ErrorCode::kInternal,
            "bench decode: expected " + std::to_string(film_.frames) +
                " frames from each session, got " + std::to_string(frames));
    }
  }

  void report(int64_t sessions) const {
    std::vector<double> rates, cores;
    for (int64_t i = 0; i < flags_.repeat; ++i) {
      const double computed = processor_seconds();
      const auto start = Clock::now();
      decode_together(sessions);
      const double seconds = seconds_since(start);
      rates.push_back(static_cast<double>(sessions * film_.frames) / seconds);
      cores.push_back((processor_seconds() - computed) / seconds);
    }
    Json out;
    out.set("bench", "decode");
    out.set("input", request_.name);
    out.set("codec", film_.codec);
    out.set("width", film_.width);
    out.set("height", film_.height);
    out.set("frames", film_.frames);
    out.set("device", flags_.device);
    out.set("sessions", sessions);
    out.set("threads", flags_.threads);
    out.set("frames_per_second", quantile(rates, 0.5));
    out.set("cores_busy", quantile(cores, 0.5));
    out.set("cores", static_cast<int64_t>(std::thread::hardware_concurrency()));
    out.set("peak_memory_bytes", services::peak_memory_bytes());
    std::cout << out.dump() << std::endl;
  }

  const Flags& flags_;
  const DecodeOn on_;
  const MediaRequest request_;
  Decoded film_;
};

}  // namespace

void add_bench_decode(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      bench.add_subcommand("decode", "Time the decoder: whole films, several at the same time");
  command->add_option("--input", flags->input, "a video; the sample clip if none");
  command
      ->add_option("--device", flags->device,
                   "where frames are decoded and left: cpu, cuda, cuda:1")
      ->capture_default_str();
  command->add_option("--sessions", flags->sessions, "films at the same time, a list by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  command->add_option("--threads", flags->threads, "of each session")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--repeat", flags->repeat, "runs, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->callback([flags] { Bench(*flags).run(); });
}

}  // namespace lv::apps
