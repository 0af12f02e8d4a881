#include "pipeline/media/picture_header.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace lv {
namespace {

constexpr int kMostChunks = 4096;  // looked at in one file

/// Numbers and texts at offsets of a file; what lies beyond the end reads as zero.
class Bytes {
 public:
  explicit Bytes(const MediaInput& input) : input_(input) {}

  uint64_t big(int64_t offset, int count) const { return number(offset, count, true); }
  uint64_t little(int64_t offset, int count) const { return number(offset, count, false); }
  uint64_t number(int64_t offset, int count, bool big_endian) const {
    std::array<uint8_t, 8> bytes{};
    input_.read_at(offset, bytes.data(), count);
    uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | bytes[big_endian ? i : count - 1 - i];
    return value;
  }
  bool has(int64_t offset, std::string_view text) const {
    std::string got(text.size(), '\0');
    const auto size = static_cast<int64_t>(got.size());
    return input_.read_at(offset, got.data(), size) == size && got == text;
  }
  int64_t size() const { return input_.size(); }

 private:
  const MediaInput& input_;
};

/// The orientation in a TIFF structure, which is what EXIF is; 1 if there is none.
Orientation exif_orientation(const Bytes& bytes, int64_t tiff) {
  if (bytes.has(tiff, std::string_view("Exif\0\0", 6))) tiff += 6;
  const bool big = bytes.has(tiff, "MM");
  if (!big && !bytes.has(tiff, "II")) return 1;
  const int64_t table = tiff + static_cast<int64_t>(bytes.number(tiff + 4, 4, big));
  const auto entries = static_cast<int64_t>(bytes.number(table, 2, big));
  for (int64_t i = 0; i < std::min<int64_t>(entries, kMostChunks); ++i) {
    const int64_t entry = table + 2 + 12 * i;
    if (bytes.number(entry, 2, big) != 274) continue;
    const auto value = static_cast<int>(bytes.number(entry + 8, 2, big));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

PictureHeader read_jpeg(const Bytes& bytes) {
  PictureHeader header{AV_CODEC_ID_MJPEG};
  int64_t at = 2;
  for (int i = 0; i < kMostChunks && at + 4 <= bytes.size(); ++i) {
    const auto marker = static_cast<int>(bytes.big(at, 2));
    if (marker >> 8 != 0xff) break;
    if (marker == 0xffff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xffd9 || marker == 0xffda) break;
    const bool is_frame = marker >= 0xffc0 && marker <= 0xffcf && marker != 0xffc4 &&
                          marker != 0xffc8 && marker != 0xffcc;
    if (is_frame) {
      header.height = static_cast<int64_t>(bytes.big(at + 5, 2));
      header.width = static_cast<int64_t>(bytes.big(at + 7, 2));
    } else if (marker == 0xffe1 && bytes.has(at + 4, "Exif")) {
      header.orientation = exif_orientation(bytes, at + 4);
    }
    at += 2 + static_cast<int64_t>(bytes.big(at + 2, 2));
  }
  return header;
}

std::optional<PictureHeader> read_png(const Bytes& bytes) {
  PictureHeader header{AV_CODEC_ID_PNG};
  int64_t at = 8;
  for (int i = 0; i < kMostChunks && at + 8 <= bytes.size(); ++i) {
    if (bytes.has(at + 4, "IHDR")) {
      header.width = static_cast<int64_t>(bytes.big(at + 8, 4));
      header.height = static_cast<int64_t>(bytes.big(at + 12, 4));
    } else if (bytes.has(at + 4, "acTL")) {
      return std::nullopt;  // a film
    } else if (bytes.has(at + 4, "eXIf")) {
      header.orientation = exif_orientation(bytes, at + 8);
    }
    at += 12 + static_cast<int64_t>(bytes.big(at, 4));
  }
  return header;
}

PictureHeader read_webp(const Bytes& bytes) {
  PictureHeader header{AV_CODEC_ID_WEBP};
  int64_t at = 12;
  for (int i = 0; i < kMostChunks && at + 8 <= bytes.size(); ++i) {
    const int64_t body = at + 8;
    if (bytes.has(at, "VP8X")) {
      header.width = static_cast<int64_t>(bytes.little(body + 4, 3)) + 1;
      header.height = static_cast<int64_t>(bytes.little(body + 7, 3)) + 1;
    } else if (bytes.has(at, "VP8L") && header.width == 0) {
      const uint64_t sides = bytes.little(body + 1, 4);
      header.width = static_cast<int64_t>(sides & 0x3fff) + 1;
      header.height = static_cast<int64_t>(sides >> 14 & 0x3fff) + 1;
    } else if (bytes.has(at, "VP8 ") && header.width == 0) {
      header.width = static_cast<int64_t>(bytes.little(body + 6, 2) & 0x3fff);
      header.height = static_cast<int64_t>(bytes.little(body + 8, 2) & 0x3fff);
    } else if (bytes.has(at, "EXIF")) {
      header.orientation = exif_orientation(bytes, body);
    }
    const auto length = static_cast<int64_t>(bytes.little(at + 4, 4));
    at = body + length + (length & 1);
  }
  return header;
}

PictureHeader read_bmp(const Bytes& bytes) {
  PictureHeader header{AV_CODEC_ID_BMP};
  const bool is_old = bytes.little(14, 4) == 12;
  header.width = static_cast<int64_t>(bytes.little(18, is_old ? 2 : 4));
  header.height = static_cast<int64_t>(bytes.little(is_old ? 20 : 22, is_old ? 2 : 4));
  // A negative height means rows from top to bottom.
  if (!is_old) header.height = std::abs(static_cast<int64_t>(static_cast<int32_t>(header.height)));
  return header;
}

}  // namespace

std::optional<PictureHeader> read_picture_header(const MediaInput& input) {
  const Bytes bytes(input);
  if (bytes.has(0, "\xff\xd8\xff")) return read_jpeg(bytes);
  if (bytes.has(0, std::string_view("\x89PNG\r\n\x1a\n", 8))) return read_png(bytes);
  if (bytes.has(0, "RIFF") && bytes.has(8, "WEBP")) return read_webp(bytes);
  if (bytes.has(0, "BM") && bytes.little(14, 4) >= 12 && bytes.little(14, 4) <= 124) {
    return read_bmp(bytes);
  }
  return std::nullopt;
}

bool is_document(const MediaInput& input) {
  std::string head(1024, '\0');
  const int64_t got = input.read_at(0, head.data(), static_cast<int64_t>(head.size()));
  head.resize(static_cast<size_t>(std::max<int64_t>(got, 0)));
  return head.find("%PDF-") != std::string::npos;
}

}  // namespace lv
