#include "pipeline/media/h264_units.h"

#include <catch2/catch.hpp>
#include <vector>

namespace lv {
namespace {

using Bytes = std::vector<uint8_t>;

// First bytes of units: settings (7, 8), a remark (6), an IDR picture (5), another picture (1).
constexpr uint8_t kSettings = 0x67, kMoreSettings = 0x68, kRemark = 0x06, kIdr = 0x65,
                  kOther = 0x41;

}  // namespace

TEST_CASE("an H.264 header says how units are parted") {
  CHECK(h264_length_bytes(Bytes{1, 0x64, 0, 0x28, 0xFF, 0xE1, 0}) == 4);
  CHECK(h264_length_bytes(Bytes{1, 0x64, 0, 0x28, 0xFD, 0xE1, 0}) == 2);
  CHECK(h264_length_bytes(Bytes{0, 0, 0, 1, kSettings, 0x64, 0}) == 0);
  CHECK(h264_length_bytes(Bytes{1, 0x64}) == 0);
  CHECK(h264_length_bytes(Bytes{}) == 0);
}

TEST_CASE("the first picture of an H.264 packet decides whether it begins anew") {
  CHECK(is_h264_idr(Bytes{0, 0, 0, 2, kRemark, 9, 0, 0, 0, 2, kIdr, 9}, 4));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0, 2, kRemark, 9, 0, 0, 0, 2, kOther, 9}, 4));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0, 2, kOther, 9, 0, 0, 0, 2, kIdr, 9}, 4));
  CHECK(is_h264_idr(Bytes{0, 1, kSettings, 0, 1, kIdr}, 2));
  CHECK(
      is_h264_idr(Bytes{0, 0, 0, 1, kSettings, 7, 0, 0, 1, kMoreSettings, 7, 0, 0, 1, kIdr, 7}, 0));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0, 1, kSettings, 7, 0, 0, 1, kOther, 7}, 0));
}

TEST_CASE("an H.264 packet that is damaged or empty begins nothing") {
  CHECK_FALSE(is_h264_idr(Bytes{}, 4));
  CHECK_FALSE(is_h264_idr(Bytes{}, 0));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 1}, 0));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0, 0, 0, 0, 0, 0}, 4));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0, 9, kIdr}, 4));  // longer than what is there
  CHECK_FALSE(is_h264_idr(Bytes{0xFF, 0xFF, 0xFF, 0xFF, kIdr, 9}, 4));
  CHECK_FALSE(is_h264_idr(Bytes{0, 0, 0}, 4));
}

}  // namespace lv
