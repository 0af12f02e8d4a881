#include "longview/v1/frames.pb.h"
#include "services/codec/codec.h"
#include "services/codec/fields.h"
#include "services/codec/utf8.h"

namespace lv::services {

void to_proto(const FrameBatch& batch, v1::FrameBatch* message) {
  message->Clear();
  put(batch.pixels, message, &v1::FrameBatch::mutable_pixels);
  put(batch.pts_seconds, message, &v1::FrameBatch::mutable_pts_seconds);
  to_proto(batch.media, message->mutable_media());
  put_texts(batch.warnings, message->mutable_warnings());
  message->set_source(batch.source);
  message->set_film_frames(batch.film_frames);
  message->set_view(valid_utf8(batch.view));
}

FrameBatch from_proto(Received<v1::FrameBatch> message) {
  FrameBatch batch;
  batch.pixels = take_tensor(part_of(message, message->pixels()), "frames.pixels");
  batch.pts_seconds = take_tensor(part_of(message, message->pts_seconds()), "frames.pts_seconds");
  batch.media = from_proto(message->media());
  batch.warnings.assign(message->warnings().begin(), message->warnings().end());
  batch.source = message->source();
  batch.film_frames = message->film_frames();
  batch.view = message->view();
  check_number(static_cast<double>(batch.film_frames), "frames.film_frames");
  validate(batch);
  return batch;
}

}  // namespace lv::services
