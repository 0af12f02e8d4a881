#include "pipeline/media/resampler.h"

#include <algorithm>
#include <cmath>

#include "pipeline/base/error.h"

namespace lv {

void Resampler::convert(const AVFrame& sound, std::vector<float>& out) {
  if (swr_ && (sound.sample_rate != in_rate_ || sound.format != in_format_ ||
               sound.ch_layout.nb_channels != in_channels_)) {
    drain(out);
  }
  if (!swr_) open(sound);
  run(&sound, out);
}

void Resampler::drain(std::vector<float>& out) {
  if (!swr_) return;
  run(nullptr, out);
  swr_.reset();
}

void Resampler::open(const AVFrame& sound) {
  in_rate_ = sound.sample_rate;
  in_format_ = sound.format;
  in_channels_ = sound.ch_layout.nb_channels;
  check(in_rate_ > 0 && in_channels_ > 0, ErrorCode::kDataLoss,
        "sound: expected a sample rate and channels, got none");
  AVChannelLayout from = {};
  if (sound.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) {
    av_channel_layout_default(&from, in_channels_);
  } else {
    av_check(av_channel_layout_copy(&from, &sound.ch_layout), "sound: copy the channel layout");
  }
  AVChannelLayout mono = {};
  av_channel_layout_default(&mono, 1);
  SwrContext* swr = nullptr;
  int code = swr_alloc_set_opts2(&swr, &mono, AV_SAMPLE_FMT_FLT, rate_, &from,
                                 static_cast<AVSampleFormat>(in_format_), in_rate_, 0, nullptr);
  av_channel_layout_uninit(&from);
  swr_.reset(swr);
  if (code >= 0) code = swr_init(swr);
  if (code < 0) swr_.reset();
  av_check(code, "sound: open the resampler");
}

void Resampler::run(const AVFrame* sound, std::vector<float>& out) {
  const int room = swr_get_out_samples(swr_.get(), sound != nullptr ? sound->nb_samples : 0);
  av_check(room, "sound: resample");
  const size_t before = out.size();
  out.resize(before + static_cast<size_t>(room));
  auto* into = reinterpret_cast<uint8_t*>(out.data() + before);
  const int got =
      swr_convert(swr_.get(), &into, room,
                  sound != nullptr ? const_cast<const uint8_t**>(sound->extended_data) : nullptr,
                  sound != nullptr ? sound->nb_samples : 0);
  out.resize(before + static_cast<size_t>(std::max(got, 0)));
  av_check(got, "sound: resample");
  for (size_t i = before; i < out.size(); ++i) {
    out[i] = std::isfinite(out[i]) ? std::clamp(out[i], -1.0F, 1.0F) : 0.0F;
  }
}

}  // namespace lv
