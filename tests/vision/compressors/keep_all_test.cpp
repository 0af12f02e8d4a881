#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "vision/compressors/compressors.h"

namespace lv::vision {
namespace {

TEST_CASE("keep_all: hands on the very tensors") {
  ClipTokens clip;
  clip.visual.features = lcg_tensor(3, {5, 2});
  clip.visual.origin.pts_seconds = at::zeros({5}, at::kDouble);
  const auto context = compressors().make("keep_all", Params::parse(""))->map(clip);
  const auto& out = std::get<CompressedTokens>(context);
  CHECK(out.embeddings.is_same(clip.visual.features));
  CHECK(out.origin.pts_seconds.is_same(clip.visual.origin.pts_seconds));
  CHECK(at::equal(out.sizes, at::ones({5})));
  REQUIRE(out.reports.size() == 1);
  CHECK(out.reports[0].tokens_out == 5);
  CHECK(out.reports[0].fidelity == 1);
}

TEST_CASE("keep_all: takes no parameters") {
  CHECK_THROWS_WITH(compressors().make("keep_all", Params::parse("keep=0.5")),
                    Catch::Matchers::Contains("keep"));
}

}  // namespace
}  // namespace lv::vision
