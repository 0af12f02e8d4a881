#include "vision/encoders/encoder_replay.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <tuple>

#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"
#include "pipeline/kernels/recording.h"

namespace lv::vision {
namespace {

constexpr int64_t kMostPictures = 16;  // more keep the device busy
constexpr size_t kMostTapes = 8;       // each holds the activations of its pictures

/// What must be the same for a recording to serve.
using Request = std::tuple<std::vector<int64_t>, at::ScalarType, double, LayerMerging::Schedule,
                           LayerMerging::Attention, LayerMerging::Order, bool>;

Request request_of(const at::Tensor& pixels, const LayerMerging& merging) {
  return {pixels.sizes().vec(), pixels.scalar_type(), merging.keep,         merging.schedule,
          merging.attention,    merging.order,        merging.tell_saliency};
}

/// Calls `see` with each tensor that features hold.
template <typename Features, typename See>
void for_tensors(Features& all, See see) {
  see(all.features);
  if (all.saliency.defined()) see(all.saliency);
  if (!all.merged) return;
  see(all.merged->row_of);
  see(all.merged->sizes);
  see(all.merged->likeness);
}

std::vector<at::Tensor> tensors_of(const PictureFeatures& all) {
  std::vector<at::Tensor> tensors;
  for_tensors(all, [&](const at::Tensor& tensor) { tensors.push_back(tensor); });
  return tensors;
}

/// Features like those that `tensors` were of.
PictureFeatures copied(PictureFeatures like, const std::vector<at::Tensor>& tensors) {
  auto next = tensors.begin();
  for_tensors(like, [&](at::Tensor& tensor) { tensor = (next++)->clone(); });
  return like;
}

}  // namespace

class EncoderReplay::Tapes {
 public:
  using Encode = std::function<PictureFeatures(const at::Tensor&)>;

  PictureFeatures encode(const at::Tensor& pixels, const LayerMerging& merging,
                         const Encode& encode) {
    const Request request = request_of(pixels, merging);
    {
      const std::scoped_lock lock(mutex_);
      const auto found = std::ranges::find(tapes_, request, &Tape::request);
      if (found != tapes_.end()) {
        tapes_.splice(tapes_.begin(), tapes_, found);
        return replay(tapes_.front(), pixels, encode);
      }
    }
    PictureFeatures features = encode(pixels);
    if (!features.features.is_cuda()) return features;
    const std::scoped_lock lock(mutex_);
    if (tapes_.size() == kMostTapes) tapes_.pop_back();
    tapes_.push_front({request, features.features.device(), {}, {}});
    return features;
  }

 private:
  struct Tape {
    Request request;
    at::Device device;
    std::unique_ptr<Recording> recording;  // null before the second time
    PictureFeatures shape;                 // grid, and what else is no tensor
    bool recordable = true;
  };

  static PictureFeatures replay(Tape& tape, const at::Tensor& pixels, const Encode& encode) {
    const at::Tensor there = pixels.to(tape.device);
    if (!tape.recording && tape.recordable) {
      tape.recording = record(
          [&](const at::Tensor& input) {
            tape.shape = encode(input);
            return tensors_of(tape.shape);
          },
          there);
      tape.recordable = tape.recording != nullptr;
    }
    if (!tape.recording) return encode(there);
    return copied(tape.shape, tape.recording->run(there));
  }

  std::mutex mutex_;
  std::list<Tape> tapes_;  // the latest first
};

EncoderReplay::EncoderReplay(ImageEncoderPtr encoder)
    : encoder_(std::move(encoder)), tapes_(std::make_unique<Tapes>()) {}
EncoderReplay::~EncoderReplay() = default;

PictureFeatures EncoderReplay::encode(const at::Tensor& pixels, const LayerMerging& merging) const {
  const auto encode = [&](const at::Tensor& input) { return run(input, merging); };
  if (!has_cuda_kernels() || pixels.size(0) > kMostPictures) return encode(pixels);
  return tapes_->encode(pixels, merging, encode);
}

PictureFeatures EncoderReplay::run(const at::Tensor& pixels, const LayerMerging& merging) const {
  const MergingEncoder* merging_encoder = encoder_->merging();
  const bool told = merging.tell_saliency && merging_encoder != nullptr;
  if (merging.keep == 1 && !told) return encoder_->encode(pixels);
  check(merging_encoder != nullptr, ErrorCode::kUnimplemented,
        "merging between layers: this encoder's tokens stay in their grid");
  return merging_encoder->encode_merged(pixels, merging);
}

}  // namespace lv::vision
