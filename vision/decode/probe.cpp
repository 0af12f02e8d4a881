#include "pipeline/base/error.h"
#include "pipeline/media/describe.h"
#include "pipeline/media/picture_header.h"
#include "vision/decode/decode.h"

namespace lv::vision {

MediaInfo probe_media(const MediaRequest& request) {
  check_request(request);
  const MediaInput input(request);
  if (is_document(input)) return {MediaKind::kDocument, 0, 0, 0};
  if (const std::optional<PictureHeader> header = read_picture_header(input)) {
    const bool swaps = swaps_sides(header->orientation);
    return {MediaKind::kPicture, 0, static_cast<int32_t>(swaps ? header->height : header->width),
            static_cast<int32_t>(swaps ? header->width : header->height)};
  }
  Warnings warnings(input.name());
  const Demuxer demuxer(input, request.limits, warnings);
  MediaInfo media = describe(demuxer);
  check(media.kind != MediaKind::kUnknown, ErrorCode::kInvalidArgument,
        input.name() + ": expected pictures or sound, got neither");
  const std::string format = demuxer.format_name();
  if ((format == "gif" || format == "apng") && measure(input, request.limits, 0).packets <= 1) {
    media.kind = MediaKind::kPicture;
    media.duration_seconds = 0;
  }
  return media;
}

}  // namespace lv::vision
