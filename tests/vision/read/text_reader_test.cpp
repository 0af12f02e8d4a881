#include "vision/read/text_reader.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"
#include "vision/read/still_reading.h"

namespace lv::vision {
namespace {

const TextReader& reader() {
  static const TextReader made;
  return made;
}

/// Writes a strip of tests/data/vision/make_text.py into a frame, white with a dark rim.
void write_text(at::Tensor& frame, const std::string& name, int64_t top, int64_t left) {
  static const TensorStorePtr store = open_safetensors(data("tests/data/vision/text.safetensors"));
  const at::Tensor strip = std::get<at::Tensor>(store->get(name));
  frame.narrow(0, top, strip.size(0))
      .narrow(1, left, strip.size(1))
      .copy_(strip.unsqueeze(-1).expand({strip.size(0), strip.size(1), 3}));
}

at::Tensor plain_frame() { return at::full({240, 426, 3}, 60, at::kByte); }

at::Tensor noise(int64_t seed) {
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU).clone();
  generator.set_current_seed(seed);
  return at::randint(0, 256, {240, 426, 3}, generator, at::kByte);
}

/// A landscape of soft waves that moves with `t`.
at::Tensor waves(double t) {
  const at::Tensor y = at::arange(240, at::kFloat).unsqueeze(1);
  const at::Tensor x = at::arange(426, at::kFloat).unsqueeze(0);
  const at::Tensor wave = 100 + 60 * at::sin((x + 90 * t) / 17) * at::cos((y + 40 * t) / 23);
  return wave.unsqueeze(-1).expand({240, 426, 3}).to(at::kByte).contiguous();
}

FrameBatch film(const std::vector<at::Tensor>& frames) {
  FrameBatch batch;
  batch.pixels = at::stack(frames);
  batch.pts_seconds = at::arange(static_cast<int64_t>(frames.size()), at::kDouble);
  return batch;
}

std::vector<ScreenText> read_film(const std::vector<FrameBatch>& batches) {
  const auto reading = reader().start();
  for (const FrameBatch& batch : batches) reading->add(batch);
  return reading->finish();
}

TEST_CASE("text in a picture is read with its place") {
  at::Tensor frame = plain_frame();
  write_text(frame, "road", 40, 50);
  write_text(frame, "price", 160, 200);
  const std::vector<TextLine> lines = reader().read(frame);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "Road closed");
  CHECK(lines[1].text == "Total 42.50");
  CHECK(lines[0].confidence >= 0.6);
  CHECK(lines[0].confidence <= 1);
  CHECK(lines[0].box[0] == Approx(54 / 426.0).margin(0.01));
  CHECK(lines[0].box[1] == Approx(44 / 240.0).margin(0.02));
  CHECK(lines[0].box[2] > lines[0].box[0] + 0.2f);
  CHECK(lines[0].box[3] < 0.35f);
}

TEST_CASE("a page is read as it is written, whichever way it lies") {
  at::Tensor page = at::full({400, 426, 3}, 255, at::kByte);
  write_text(page, "news", 40, 40);
  write_text(page, "price", 160, 200);
  write_text(page, "road", 300, 40);
  for (const int turn : {0, 1, 2, 3}) {
    // rot90() turns counterclockwise.
    const auto words = reader().read_page(at::rot90(page, -turn, {0, 1}).contiguous());
    std::string text;
    for (const PageWord& word : words) {
      CHECK(word.turn == turn);
      text += word.text + " ";
    }
    CHECK(text == "Breaking news from the city Total 42.50 Road closed ");
    if (words.size() != 9) continue;
    std::array<float, 4> total = words[5].box;  // turned back: x' = y, y' = 1 - x
    for (int i = 0; i < turn; ++i) total = {total[1], 1 - total[2], total[3], 1 - total[0]};
    CHECK(total[0] == Approx(204 / 426.0).margin(0.01));
    CHECK(total[1] == Approx(164 / 400.0).margin(0.015));
  }
  CHECK(reader().read_page(plain_frame()).empty());
  CHECK_THROWS_AS(reader().read_page(at::zeros({8, 8}, at::kByte)), Error);
}

TEST_CASE("noise, waves and plain colour hold no text") {
  CHECK(reader().read(noise(1).narrow(0, 0, 120).narrow(1, 0, 160)).empty());
  CHECK(reader().read(waves(0)).empty());
  CHECK(reader().read(plain_frame()).empty());
  CHECK(reader().read(at::full({1, 1, 3}, 9, at::kByte)).empty());
}

TEST_CASE("a text reader refuses what is no picture, and languages that are not there") {
  CHECK_THROWS_AS(reader().read(at::zeros({8, 8}, at::kByte)), Error);
  CHECK_THROWS_AS(reader().read(at::zeros({8, 8, 3})), Error);
  CHECK_THROWS_AS(reader().read(at::zeros({0, 8, 3}, at::kByte)), Error);
  CHECK_THROWS_AS(TextReader("klingon"), Error);
  CHECK_THROWS_AS(TextReader("../eng"), Error);
  CHECK_THROWS_AS(TextReader(""), Error);
}

TEST_CASE("text that stands over several frames is one item") {
  at::Tensor frame = plain_frame();
  write_text(frame, "exit", 100, 100);
  const auto items = read_film({film({frame, frame, frame})});
  REQUIRE(items.size() == 1);
  CHECK(items[0].text == "EXIT");
  CHECK(items[0].start_seconds == 0);
  CHECK(items[0].end_seconds == 2);
}

TEST_CASE("text is read over a picture that moves behind it") {
  std::vector<at::Tensor> frames;
  for (int t = 0; t < 3; ++t) {
    frames.push_back(waves(t));
    write_text(frames.back(), "news", 190, 40);
  }
  const auto items = read_film({film(frames)});
  REQUIRE(items.size() == 1);
  CHECK(items[0].text == "Breaking news from the city");
}

TEST_CASE("a text that changes ends, and the next begins") {
  std::vector<at::Tensor> frames;
  for (const char* const name : {"exit", "exit", "road", "road"}) {
    frames.push_back(plain_frame());
    write_text(frames.back(), name, 100, 100);
  }
  const auto items = read_film({film(frames)});
  REQUIRE(items.size() == 2);
  CHECK(items[0].text == "EXIT");
  CHECK(items[0].end_seconds == 1);
  CHECK(items[1].text == "Road closed");
  CHECK(items[1].start_seconds == 2);
  CHECK(items[1].end_seconds == 3);
}

TEST_CASE("a film that never holds still is not read, a single picture is") {
  at::Tensor frame = plain_frame();
  write_text(frame, "exit", 100, 100);
  CHECK(read_film({film({frame, noise(1), noise(2)})}).empty());
  CHECK(read_film({film({frame})}).size() == 1);
  CHECK(read_film({}).empty());
}

TEST_CASE("recognised lines are compared by their letters") {
  CHECK(same_text("Road closed", "road  CLOSED!"));
  CHECK(same_text("Breaking news", "Breaklng news"));
  CHECK_FALSE(same_text("EXIT", "EXIST"));
  CHECK_FALSE(same_text("Room 1", "Room 2"));
}

}  // namespace
}  // namespace lv::vision
