#include "vision/decode/decode.h"

#include <utility>

#include "pipeline/base/error.h"
#include "vision/decode/file_reader.h"

namespace lv::vision {
namespace {

class VideoDecode : public Stage<MediaRequest, FrameBatch> {
 public:
  VideoDecode(int64_t frames_per_batch, at::Device device)
      : frames_per_batch_(frames_per_batch), device_(device) {}

  SourcePtr<FrameBatch> start(SourcePtr<MediaRequest> input) const override {
    return std::make_unique<Batches>(frames_per_batch_, device_, std::move(input));
  }

 private:
  class Batches : public Source<FrameBatch> {
   public:
    Batches(int64_t frames_per_batch, at::Device device, SourcePtr<MediaRequest> input)
        : frames_per_batch_(frames_per_batch), device_(device), input_(std::move(input)) {}

    std::optional<FrameBatch> next() override {
      while (true) {
        if (!file_) {
          std::optional<MediaRequest> request = input_->next();
          if (!request) return std::nullopt;
          file_ = std::make_unique<FileReader>(std::move(*request), frames_per_batch_, device_);
        }
        if (std::optional<FrameBatch> batch = file_->next()) return batch;
        file_.reset();
      }
    }

   private:
    const int64_t frames_per_batch_;
    const at::Device device_;
    SourcePtr<MediaRequest> input_;
    std::unique_ptr<FileReader> file_;
  };

  const int64_t frames_per_batch_;
  const at::Device device_;
};

}  // namespace

StagePtr<MediaRequest, FrameBatch> make_video_decode(int64_t frames_per_batch, at::Device device) {
  check(frames_per_batch >= 1, ErrorCode::kInvalidArgument,
        "frames_per_batch: expected at least 1, got " + std::to_string(frames_per_batch));
  return std::make_shared<VideoDecode>(frames_per_batch, device);
}

}  // namespace lv::vision
