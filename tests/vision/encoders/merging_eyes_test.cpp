#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "vision/encoders/load_eyes.h"

namespace lv::vision {
namespace {

at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/tiny_auroracap.safetensors"))->get(name));
}

EncodeParts eyes(const std::string& model = "tiny_auroracap") {
  return load_eyes(open_checkpoint(data("tests/data/whole/" + model)));
}

VisualTokens seen(const EncodeParts& parts, const std::optional<LayerMerging>& merging) {
  EncodeOptions options;
  options.merging = merging;
  options.max_frames = 2;
  FrameBatch film;
  film.pixels = golden("film");
  film.pts_seconds = at::arange(3, at::kDouble);
  film.media.kind = MediaKind::kVideo;
  const auto stage = make_encode(parts, options);
  return joined(collect(*stage->start(source_of_one(std::move(film)))));
}

TomeParams tome(const std::string& params) { return TomeParams(Params::parse(params)); }

TEST_CASE("AuroraCap's eyes merge as much as its configuration says, as its release does") {
  const EncodeParts parts = eyes();
  REQUIRE(parts.merging);
  CHECK(parts.merging->keep == Approx(0.3));
  const VisualTokens tokens = seen(parts, parts.merging);
  CHECK_NOTHROW(validate(tokens));
  CHECK_THAT(tokens.features, CloseTo(golden("features"), 1e-4, 1e-5));
  CHECK(at::equal(tokens.offsets, at::tensor({0, 18, 36, 54}, at::kInt)));
  CHECK(tokens.grids.at(2).rows == 0);
}

TEST_CASE("tokens that merged tell their sizes, their boxes and what was done") {
  const VisualTokens tokens = seen(eyes(), LayerMerging{0.3});
  REQUIRE(tokens.sizes.defined());
  CHECK(tokens.sizes.sum().item<float>() == 3 * 36);
  const at::Tensor several = tokens.sizes > 1;
  CHECK(at::equal(tokens.origin.flags.bitwise_and(kMerged) > 0, several));
  // The picture of 30 x 40 is cut to its middle: a patch is a sixth of the height, an eighth of the
  // width, and a token of one patch has its box.
  const at::Tensor sides = tokens.origin.box.slice(1, 2) - tokens.origin.box.slice(1, 0, 2);
  const at::Tensor one = sides.index({several.logical_not()});
  CHECK_THAT(one, CloseTo(at::tensor({0.125f, 1.f / 6}).expand_as(one), 1e-4));
  CHECK((sides.index({several}).prod(1) > 0.125 / 6 * 1.5).all().item<bool>());
  for (int64_t p = 0; p < 3; ++p) {
    const at::Tensor boxes = tokens.origin.box.slice(0, 18 * p, 18 * (p + 1));
    CHECK_THAT(std::get<0>(boxes.slice(1, 0, 2).min(0)), CloseTo(at::tensor({0.125f, 0.f}), 1e-4));
    CHECK_THAT(std::get<0>(boxes.slice(1, 2, 4).max(0)), CloseTo(at::tensor({0.875f, 1.f}), 1e-4));
  }
  REQUIRE(tokens.reports.size() == 1);
  const CompressionReport& report = tokens.reports.front();
  CHECK(report.method == "tome");
  CHECK(report.keep == 0.3);
  CHECK(report.tokens_in == 108);
  CHECK(report.tokens_out == 54);
  CHECK((report.fidelity > 0.3 && report.fidelity < 1));
  CHECK(report.milliseconds > 0);
}

TEST_CASE("merging nothing is said, too, and changes nothing") {
  const VisualTokens plain = seen(eyes(), std::nullopt), merged = seen(eyes(), LayerMerging{});
  CHECK(at::equal(plain.features, merged.features));
  CHECK(plain.reports.empty());
  REQUIRE(merged.reports.size() == 1);
  CHECK(merged.reports.front().tokens_out == 108);
  CHECK_FALSE(merged.sizes.defined());
}

TEST_CASE("tome merges between the layers where the eyes can, unless asked otherwise") {
  const EncodeParts aurora = eyes(), llava = eyes("tiny_llava"), smolvlm = eyes("tiny_smolvlm");
  CHECK_FALSE(llava.merging);
  CHECK(merging_for(tome("keep=0.5"), llava).value().keep == 0.5);
  CHECK(merging_for(tome("keep=0.5"), llava)->attention == LayerMerging::Attention::kBySize);
  CHECK(merging_for(tome("keep=0.5"), llava)->order == LayerMerging::Order::kReading);
  // As the model was trained, but for what is asked.
  CHECK(merging_for(tome("keep=0.5"), aurora)->attention == LayerMerging::Attention::kPlain);
  CHECK(merging_for(tome("keep=0.5"), aurora)->order == LayerMerging::Order::kMerging);
  CHECK(merging_for(tome("keep=0.5,prop_attn=key"), aurora)->attention ==
        LayerMerging::Attention::kBySize);
  CHECK(merging_for(tome("schedule=decreasing"), aurora)->schedule ==
        LayerMerging::Schedule::kDecreasing);
  CHECK_FALSE(merging_for(tome("keep=0.5,at=tokens"), aurora));
  CHECK_FALSE(merging_for(tome("keep=0.5,steps=2"), aurora));
  CHECK_FALSE(merging_for(tome("keep=0.5"), smolvlm));
}

TEST_CASE("eyes that need their grid refuse to merge by name") {
  const LayerMerging half{0.5};
  const auto refuses = [&](const EncodeParts& parts, const std::string& text) {
    CHECK_THROWS_MATCHES(seen(parts, half), Error, IsError(ErrorCode::kUnimplemented, text));
  };
  refuses(eyes("tiny_smolvlm"), "what joins Idefics3VisionTransformer to the language model");
  refuses(eyes("tiny_onevision"), "the tiles of a picture are put together as a grid");
  EncodeParts windows = eyes();
  const Json config = read_json_file(data("tests/data/vision/qwen2_5_vl.json")).at("config");
  const Checkpoint all("tiny", config,
                       open_safetensors(data("tests/data/vision/qwen2_5_vl.safetensors")));
  windows.encoder = make_image_encoder(all.part(config, {{"model.", ""}}));
  windows.architecture = "Qwen2_5_VLVisionModel";
  refuses(windows, "Qwen2_5_VLVisionModel needs its grid to the end; at=tokens");
}

}  // namespace
}  // namespace lv::vision
