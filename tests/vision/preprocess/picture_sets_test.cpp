#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"
#include "vision/preprocess/image_processor.h"

namespace lv::vision {
namespace {

// tests/data/vision/make_sets.py makes it, from pictures of make_vision.py.
at::Tensor golden(const std::string& name, const char* file = "sets") {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/vision/" + std::string(file) + ".safetensors"))->get(name));
}

const std::vector<at::Tensor>& pictures() {
  static const std::vector<at::Tensor> all = {
      golden("frame_0", "vision"), golden("frame_0", "vision").slice(1, 60, 97),
      golden("frame_1", "vision").slice(0, 0, 25).slice(1, 0, 24)};
  return all;
}

std::vector<PictureSize> sizes() {
  std::vector<PictureSize> all;
  for (const at::Tensor& picture : pictures()) all.push_back({picture.size(0), picture.size(1)});
  return all;
}

ImageProcessorPtr processor(const std::string& keys) {
  return make_image_processor(parse_json("{" + keys + "}", "keys"));
}

const std::string kHalves = R"("image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5])";
const std::string kClipColours =
    R"("image_mean": [0.48145466, 0.4578275, 0.40821073],
       "image_std": [0.26862954, 0.26130258, 0.27577711])";
const std::string kLeopard = R"("image_processor_type": "LeopardImageProcessor",
                                "size": {"height": 20, "width": 20}, "tile_budget": 20, )" +
                             kHalves;

/// [3, H, W] in [-1, 1] as bytes [H, W, 3].
at::Tensor bytes(const at::Tensor& pixels) {
  return ((pixels + 1) * 127.5).round().to(at::kByte).permute({1, 2, 0});
}

/// Tiles [rows * columns, 3, S, S] side by side.
at::Tensor assembled(const at::Tensor& tiles, const PatchGrid& grid) {
  const int64_t side = tiles.size(2);
  return tiles.view({grid.rows, grid.columns, 3, side, side})
      .permute({2, 0, 3, 1, 4})
      .reshape({3, grid.rows * side, grid.columns * side});
}

}  // namespace

TEST_CASE("LEOPARD's tiles are the picture on its canvas, bit for bit") {
  const ImageProcessorPtr leopard = processor(kLeopard);
  CHECK(leopard->regards_set());
  for (size_t i = 0; i < pictures().size(); ++i) {
    INFO(i);
    const std::string number = std::to_string(i);
    const ProcessedPicture got = leopard->process_in_set(pictures()[i], sizes(), i);
    const int64_t tiles = got.pixels.size(0) - 1;
    CHECK(tiles == static_cast<int64_t>(got.tiles.rows) * got.tiles.columns);
    CHECK(at::equal(bytes(got.pixels[tiles]), golden("leopard_whole_" + number)));
    CHECK(at::equal(got.boxes[tiles], at::tensor({0.f, 0.f, 1.f, 1.f})));
    if (i == 2) {
      CHECK(tiles == 0);
      continue;
    }
    CHECK(at::equal(bytes(assembled(got.pixels.slice(0, 0, tiles), got.tiles)),
                    golden("leopard_canvas_" + number)));
  }
}

TEST_CASE("LEOPARD's boxes tell what tiles show, beyond the picture where they are padded") {
  const ProcessedPicture got = processor(kLeopard)->process_in_set(pictures()[0], sizes(), 0);
  // 160 x 96 becomes 80 x 48 in the middle of 80 x 60.
  CHECK(got.tiles.rows == 3);
  CHECK(got.tiles.columns == 4);
  CHECK_THAT(got.boxes[0], CloseTo(at::tensor({0.f, -6.f / 48, 0.25f, 14.f / 48})));
  CHECK_THAT(got.boxes[11], CloseTo(at::tensor({0.75f, 34.f / 48, 1.f, 54.f / 48})));
}

TEST_CASE("LEOPARD gives a lone picture more tiles, and frames of films none") {
  const at::Tensor& tall = pictures()[1];
  CHECK(processor(kLeopard)->process(tall).tiles.rows == 5);
  CHECK(processor(kLeopard)->process_in_set(tall, sizes(), 1).tiles.rows == 3);
  const auto film = make_film_processor(parse_json("{" + kLeopard + "}", "keys"));
  CHECK_FALSE(film->regards_set());
  CHECK(film->process(tall).pixels.size(0) == 1);
}

TEST_CASE("LEOPARD refuses sets and settings that it cannot take") {
  const ImageProcessorPtr leopard = processor(kLeopard);
  const std::vector<PictureSize> many(21, {96, 160});
  CHECK_THROWS_WITH(leopard->process_in_set(pictures()[0], many, 0),
                    "pictures: expected at most 20 in one request, got 21");
  CHECK_THROWS_AS(leopard->process(at::zeros({0, 4, 3}, at::kByte)), Error);
  for (const char* const wrong :
       {R"("size": {"height": 20, "width": 21}, )", R"("size": {"height": 0, "width": 0}, )",
        R"("size": {"height": 20, "width": 20}, "tile_budget": 0, )"}) {
    INFO(wrong);
    CHECK_THROWS_AS(
        processor(R"("image_processor_type": "LeopardImageProcessor", )" + (wrong + kHalves)),
        Error);
  }
}

TEST_CASE("LLaVA's squares equal the reference, and boxes reach beyond the picture") {
  const std::string size = R"("size": {"shortest_edge": 16},
                              "crop_size": {"height": 16, "width": 16}, )";
  const std::string pad = GENERATE(std::string(R"("image_processor_type": "LlavaImageProcessor",
                                                  "do_pad": true, )"),
                                   std::string(R"("image_processor_type": "CLIPImageProcessor",
                                                  "image_aspect_ratio": "pad", )"));
  const ImageProcessorPtr llava = processor(pad + size + kClipColours);
  CHECK_FALSE(llava->regards_set());
  for (size_t i = 0; i < pictures().size(); ++i) {
    const ProcessedPicture got = llava->process(pictures()[i]);
    CHECK_THAT(got.pixels[0], CloseTo(golden("llava")[static_cast<int64_t>(i)], 1e-6, 1e-6));
  }
  // 160 x 96: 32 rows above, 32 below.
  CHECK_THAT(llava->process(pictures()[0]).boxes,
             CloseTo(at::tensor({0.f, -1.f / 3, 1.f, 4.f / 3}).view({1, 4})));
}

TEST_CASE("LLaVA's squares are off unless asked for") {
  const std::string keys = R"("size": {"shortest_edge": 16},
                              "crop_size": {"height": 16, "width": 16}, )" +
                           kClipColours;
  const at::Tensor& picture = pictures()[0];
  const at::Tensor clip =
      processor(R"("image_processor_type": "CLIPImageProcessor", "do_pad": true, )" + keys)
          ->process(picture)
          .pixels;
  CHECK(at::equal(clip, processor(R"("image_processor_type": "LlavaImageProcessor", )" + keys)
                            ->process(picture)
                            .pixels));
}

TEST_CASE("LLaVA-OneVision cuts a lone picture, and puts those of a set on squares") {
  const ImageProcessorPtr onevision =
      processor(R"("image_processor_type": "LlavaOnevisionImageProcessor",
                   "size": {"height": 16, "width": 16},
                   "image_grid_pinpoints": [[16, 32], [32, 32]], )" +
                kClipColours);
  CHECK(onevision->regards_set());
  for (size_t i = 0; i < pictures().size(); ++i) {
    const ProcessedPicture got = onevision->process_in_set(pictures()[i], sizes(), i);
    CHECK(got.tiles.rows == 0);
    CHECK_THAT(got.pixels[0], CloseTo(golden("onevision")[static_cast<int64_t>(i)], 1e-6, 1e-6));
  }
  const ProcessedPicture lone = onevision->process_in_set(pictures()[0], {sizes()[0]}, 0);
  CHECK(lone.tiles.rows > 0);
  CHECK(at::equal(lone.pixels, onevision->process(pictures()[0]).pixels));
}

TEST_CASE("the Idefics2 processor equals the reference, whole and split") {
  const bool split = GENERATE(false, true);
  const std::string name = split ? "idefics2_split_" : "idefics2_";
  const ImageProcessorPtr idefics2 = processor(R"("image_processor_type": "Idefics2ImageProcessor",
                   "size": {"shortest_edge": 10, "longest_edge": 24}, "do_image_splitting": )" +
                                               std::string(split ? "true, " : "false, ") + kHalves);
  for (const size_t i : {size_t{0}, size_t{2}}) {
    const ProcessedPicture got = idefics2->process(pictures()[i]);
    CHECK_THAT(got.pixels, CloseTo(golden(name + std::to_string(i)), 1e-6, 1e-6));
    std::vector<int64_t> sides;
    for (const PictureSize& size : got.sizes) {
      sides.insert(sides.end(), {size.height, size.width});
    }
    CHECK(at::equal(
        at::tensor(sides).view({-1, 2}),
        golden((split ? "idefics2_split_sizes_" : "idefics2_sizes_") + std::to_string(i))));
    CHECK(got.tiles.rows == (split ? 2 : 0));
  }
  if (!split) return;
  // 24 x 25 pixels: the lower quarters have one row more.
  CHECK_THAT(idefics2->process(pictures()[2]).boxes[2],
             CloseTo(at::tensor({0.f, 12.f / 25, 0.5f, 1.f})));
}

}  // namespace lv::vision
