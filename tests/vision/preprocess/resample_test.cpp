#include "vision/preprocess/resample.h"

#include <ATen/ATen.h>

#include <cstdio>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

at::Tensor random_picture(uint32_t seed, int64_t height, int64_t width, int64_t channels) {
  at::Tensor x = at::empty({height, width, channels}, at::kByte);
  uint8_t* out = x.data_ptr<uint8_t>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    seed = 1664525u * seed + 1013904223u;
    out[i] = static_cast<uint8_t>(seed >> 24);
  }
  return x;
}

std::string fnv(const at::Tensor& x) {
  uint64_t value = 0xcbf29ce484222325u;
  const uint8_t* bytes = x.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < x.numel(); ++i) value = (value ^ bytes[i]) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

TEST_CASE("resample equals Pillow bit for bit") {
  const Json golden = read_json_file(data("tests/data/vision/resample.json"));
  for (const Json& c : golden.at("cases").as_array()) {
    INFO(c.dump());
    const auto& size = c.at("size").as_array();
    const auto& to = c.at("to").as_array();
    const at::Tensor picture = random_picture(static_cast<uint32_t>(c.at("seed").as_int()),
                                              size[0].as_int(), size[1].as_int(), size[2].as_int());
    const Filter filter = filter_from_pillow(c.at("filter").as_int());
    at::Tensor got;
    if (c.at("box").is_null()) {
      got = resample(picture, to[0].as_int(), to[1].as_int(), filter);
    } else {
      const auto& b = c.at("box").as_array();
      got = resample(picture,
                     {b[0].as_double(), b[1].as_double(), b[2].as_double(), b[3].as_double()},
                     to[0].as_int(), to[1].as_int(), filter);
    }
    CHECK(fnv(got) == c.at("fnv").as_string());
  }
}

TEST_CASE("resample of a picture of one colour keeps the colour") {
  const at::Tensor grey = at::full({31, 57, 3}, 201, at::kByte);
  const auto filter = GENERATE(Filter::kBox, Filter::kBilinear, Filter::kHamming, Filter::kBicubic,
                               Filter::kLanczos);
  CHECK(at::equal(resample(grey, 70, 13, filter), at::full({70, 13, 3}, 201, at::kByte)));
}

TEST_CASE("resample of a crop with strided rows equals that of its copy") {
  const at::Tensor crop = random_picture(5, 80, 90, 3).narrow(0, 7, 50).narrow(1, 11, 61);
  REQUIRE_FALSE(crop.is_contiguous());
  CHECK(at::equal(resample(crop, 20, 33, Filter::kBicubic),
                  resample(crop.contiguous(), 20, 33, Filter::kBicubic)));
  const at::Tensor same = resample(crop, 50, 61, Filter::kBicubic);
  CHECK(same.is_contiguous());
  CHECK(at::equal(same, crop));
}

TEST_CASE("resample of three channels treats each as a picture of its own") {
  const at::Tensor picture = random_picture(9, 45, 33, 3);
  const at::Tensor whole = resample(picture, 20, 60, Filter::kLanczos);
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor one = picture.narrow(2, c, 1).contiguous();
    CHECK(at::equal(resample(one, 20, 60, Filter::kLanczos), whole.narrow(2, c, 1)));
  }
}

TEST_CASE("resample refuses what is no picture, and sides without pixels") {
  const at::Tensor picture = random_picture(1, 8, 8, 3);
  CHECK_THROWS_AS(resample(picture.to(at::kFloat), 4, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture.select(2, 0), 4, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture, 0, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture, 4, 1 << 20, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture.narrow(0, 0, 0), 4, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture, {0, 0, 9, 8}, 4, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(resample(picture, {3, 0, 3, 8}, 4, 4, Filter::kBox), Error);
  CHECK_THROWS_AS(filter_from_pillow(0), Error);
  CHECK_THROWS_AS(filter_from_pillow(6), Error);
}

}  // namespace
}  // namespace lv::vision
