#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "pipeline/stage/sources.h"
#include "services/rpc/remote_stages.h"
#include "services/rpc/server.h"
#include "vision/encoders/encode_stage.h"

namespace lv::services {
namespace {

/// A picture whose only token says how many stills its call has.
class CountsSet : public vision::ImageProcessor, public vision::ImageEncoder {
 public:
  vision::ProcessedPicture process(const at::Tensor&) const override { return of(1); }
  bool regards_set() const override { return true; }
  vision::ProcessedPicture process_in_set(const at::Tensor&,
                                          const std::vector<vision::PictureSize>& sizes,
                                          size_t) const override {
    return of(static_cast<double>(sizes.size()));
  }
  vision::PictureFeatures encode(const at::Tensor& pixels) const override {
    return {pixels.slice(1, 0, 1).flatten(2), {1, 1}};
  }
  int64_t width() const override { return 1; }
  const Linear* class_head() const override { return nullptr; }

 private:
  static vision::ProcessedPicture of(double value) {
    return {at::full({1, 3, 1, 1}, value, at::kFloat),
            at::tensor({0.f, 0.f, 1.f, 1.f}).view({1, 4}),
            {}};
  }
};

}  // namespace

TEST_CASE("the stills of a call are one set at the far side, each of its own source") {
  const auto eyes = std::make_shared<CountsSet>();
  Stages here;
  here.encode = [eyes](const auto&) {
    return vision::make_encode({eyes, nullptr, eyes, nullptr, nullptr, {}});
  };
  const Server server("0", stage_services(here, {"encode"}, std::make_shared<CallGate>()));
  Stages stages;
  use_remote_stage(stages, "encode", server.in_process_channel(), "near",
                   std::chrono::milliseconds(20'000));
  std::vector<FrameBatch> batches;
  for (int32_t source = 0; source < 3; ++source) {
    batches.push_back({at::zeros({1, 2, 2 + source, 3}, at::kByte),
                       at::zeros({1}, at::kDouble),
                       {MediaKind::kPicture},
                       {},
                       source});
  }
  auto tokens = stages.encode({})->start(source_of(std::move(batches)));
  for (int32_t source = 0; source < 3; ++source) {
    const auto part = tokens->next();
    REQUIRE(part.has_value());
    CHECK(part->features.item<float>() == 3);
    CHECK(part->origin.source.item<int32_t>() == source);
  }
  CHECK_FALSE(tokens->next());
}

}  // namespace lv::services
