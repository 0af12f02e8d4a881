#include "pipeline/weights/gguf_projector.h"

#include <catch2/catch.hpp>

#include "tests/pipeline/weights/gguf_writer.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

/// The eyes of a Qwen2.5-VL of width 8, with one matrix.
std::string qwen_eyes(uint32_t blocks, uint32_t patch) {
  GgufWriter file(1, 9);
  file.key("general.architecture", 8).string("clip");
  file.key("clip.projector_type", 8).string("qwen2.5vl_merger");
  for (const char* key : {"embedding_length", "feed_forward_length", "attention.head_count",
                          "n_wa_pattern", "spatial_merge_size"}) {
    file.key(std::string("clip.vision.") + key, 4).put(uint32_t{1});
  }
  file.key("clip.vision.block_count", 4).put(blocks);
  file.key("clip.vision.patch_size", 4).put(patch);
  file.tensor("mm.2.weight", {8, 8}, kFloat32, 0);
  return file.with_data(256);
}

void open_eyes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "mmproj.gguf", bytes);
  GgufPart text;
  text.config.set("hidden_size", 8);
  text.config.set("tie_word_embeddings", false);
  with_projector(std::move(text), folder / "mmproj.gguf");
}

TEST_CASE("projectors of impossible sizes are refused before they take memory") {
  const auto says = [](const std::string& bytes, const char* text) {
    CHECK_THROWS_MATCHES(open_eyes(bytes), Error, IsError(ErrorCode::kInvalidArgument, text));
  };
  says(qwen_eyes(UINT32_MAX, 14), "block_count: expected a whole number from 1 to 16777216");
  says(qwen_eyes(1 << 24, 14), "block_count: expected no more blocks than tensors");
  says(qwen_eyes(1, 1 << 24), "patch_size: expected a place of at most 4096 pixels");
  says(qwen_eyes(1, 14), "image_mean");  // all that is missing
}

}  // namespace
}  // namespace lv
