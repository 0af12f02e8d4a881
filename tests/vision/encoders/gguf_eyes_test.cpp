#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "pipeline/stage/sources.h"
#include "pipeline/weights/model_parts.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "vision/encoders/load_eyes.h"

namespace lv::vision {
namespace {

// tests/reference/to_gguf.py --type F16 made them of the models in tests/data/whole.
std::string folder_of(const std::string& model) { return data("tests/data/whole_gguf/" + model); }

at::Tensor golden(const std::string& model, const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/tiny_" + model + ".safetensors"))->get(name));
}

at::Tensor seen(const Checkpoint& checkpoint, const at::Tensor& picture) {
  FrameBatch batch;
  batch.pixels = picture.unsqueeze(0);
  batch.pts_seconds = at::zeros({1}, at::kDouble);
  batch.media.kind = MediaKind::kPicture;
  const auto stage = make_encode(load_eyes(checkpoint));
  return joined(collect(*stage->start(source_of_one(std::move(batch))))).features;
}

void copy(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

}  // namespace

TEST_CASE("a projector beside a GGUF model sees what the reference sees") {
  const Checkpoint checkpoint = open_checkpoint(folder_of("smolvlm") + "/text.gguf");
  CHECK(checkpoint.architecture() == "SmolVLMForConditionalGeneration");
  // Matrices lie in float16.
  CHECK_THAT(seen(checkpoint, golden("smolvlm", "picture")),
             CloseTo(golden("smolvlm", "features"), 5e-3, 5e-3));
}

TEST_CASE("LLaVA's projector sees on squares what the reference sees") {
  const Checkpoint checkpoint = open_checkpoint(folder_of("llava"));  // a folder of both files
  const Json& config = checkpoint.config();
  CHECK(config.at("vision_feature_layer").as_array().front().as_int() == 2);
  // A square is not padded, so that it is seen as without padding.
  const at::Tensor square = golden("llava", "picture").narrow(0, 0, 40).narrow(1, 0, 40);
  const at::Tensor expected = seen(open_checkpoint(data("tests/data/whole/tiny_llava")), square);
  CHECK_THAT(seen(checkpoint, square), CloseTo(expected, 5e-3, 5e-3));
  const at::Tensor wide = seen(checkpoint, golden("llava", "picture"));
  CHECK_FALSE(at::allclose(wide, golden("llava", "features"), 1e-2, 1e-2));
}

TEST_CASE("a GGUF model's projector is found, named or left out") {
  const TemporaryFolder folder;
  const std::string text = folder / "text.gguf", eyes = folder_of("smolvlm") + "/mmproj.gguf";
  copy(folder_of("smolvlm") + "/text.gguf", text);
  CHECK(open_checkpoint(text).architecture() == "LlamaForCausalLM");
  CHECK(has_vision(open_checkpoint(text, {}, eyes)));
  copy(eyes, folder / "a-mmproj-f16.gguf");
  write_file(folder / "mmproj-broken.gguf", "GGUF");  // which fits no model
  CHECK(has_vision(open_checkpoint(text)));
  CHECK_FALSE(has_vision(open_checkpoint(text, {}, "none")));
  copy(eyes, folder / "b-mmproj-f16.gguf");
  CHECK_THROWS_MATCHES(open_checkpoint(text), Error,
                       IsError(ErrorCode::kInvalidArgument, "b-mmproj-f16.gguf"));
  CHECK_NOTHROW(open_checkpoint(text, {}, folder / "b-mmproj-f16.gguf"));
}

TEST_CASE("a projector of another model or kind is refused in one line") {
  const std::string text = folder_of("smolvlm") + "/text.gguf";
  const auto says = [&](const std::string& projector, ErrorCode code, const char* what) {
    CHECK_THROWS_MATCHES(open_checkpoint(text, {}, projector), Error, IsError(code, what));
  };
  says(text, ErrorCode::kInvalidArgument, "expected a projector (mmproj), got another model");
  says("/no/such.gguf", ErrorCode::kNotFound, "/no/such.gguf");
  const TemporaryFolder folder;
  const std::string bytes = read_file(folder_of("smolvlm") + "/mmproj.gguf");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = bytes;
    other.replace(other.find(from), from.size(), to);
    write_file(folder / "changed.gguf", other);
    return folder / "changed.gguf";
  };
  says(changed("idefics3", "idefics9"), ErrorCode::kUnimplemented,
       "projector 'idefics9' is not read here; there are idefics3, mlp, qwen2.5vl_merger");
  says(changed("mm.model.fc.weight", "mm.model.fc.weighs"), ErrorCode::kInvalidArgument,
       "expected a tensor mm.model.fc.weight, got none");
  says(changed("clip.vision.patch_size", "clip.vision.patch_sizf"), ErrorCode::kInvalidArgument,
       "clip.vision.patch_size: expected a whole number from 1 to 16777216, got none");
  // What is not known is left over when the model is built.
  const Checkpoint odd = open_checkpoint(text, {}, changed("v.blk.0.ln1.bias", "v.blk.0.ln9.bias"));
  CHECK_THROWS_WITH(load_eyes(odd), Catch::Contains("v.blk.0.ln9.bias"));
  CHECK_THROWS_MATCHES(
      open_checkpoint(data("tests/data/whole/tiny_llava"), {}, text), Error,
      IsError(ErrorCode::kInvalidArgument, "expected a GGUF file for the projector"));
}

}  // namespace lv::vision
