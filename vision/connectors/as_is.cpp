#include "vision/connectors/connector.h"

namespace lv::vision {
namespace {

/// For encoders that end in the language model's width.
class AsIs : public Connector {
 public:
  PictureFeatures connect(const PictureFeatures& pictures) const override { return pictures; }
  bool needs_grid() const override { return false; }
};

}  // namespace

std::unique_ptr<Connector> make_as_is(const Json&, const WeightScope&, int64_t) {
  return std::make_unique<AsIs>();
}

}  // namespace lv::vision
