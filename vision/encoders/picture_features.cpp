#include "vision/encoders/picture_features.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::vision {

PictureFeatures without_whole(const PictureFeatures& pictures) {
  const int64_t whole = pictures.whole;
  PictureFeatures rest = pictures;
  rest.features = pictures.features.slice(1, whole);
  rest.whole = 0;
  if (rest.saliency.defined()) rest.saliency = rest.saliency.slice(1, whole);
  if (rest.merged) {
    rest.merged->row_of = rest.merged->row_of.slice(1, whole) - whole;
    rest.merged->sizes = rest.merged->sizes.slice(1, whole);
  }
  return rest;
}

PictureFeatures narrowed(const PictureFeatures& pictures, int64_t first, int64_t count) {
  PictureFeatures some = pictures;
  some.features = pictures.features.narrow(0, first, count);
  if (some.saliency.defined()) some.saliency = some.saliency.narrow(0, first, count);
  if (some.merged) {
    for (at::Tensor MergedPlaces::*field :
         {&MergedPlaces::row_of, &MergedPlaces::sizes, &MergedPlaces::likeness}) {
      at::Tensor& all = (*some.merged).*field;
      all = all.narrow(0, first, count);
    }
    some.merged->milliseconds *= static_cast<double>(count) / pictures.features.size(0);
  }
  return some;
}

PictureFeatures joined(const std::vector<PictureFeatures>& batches) {
  check(!batches.empty(), ErrorCode::kInvalidArgument, "joined: expected pictures, got none");
  if (batches.size() == 1) return batches.front();
  PictureFeatures all = batches.front();
  std::vector<at::Tensor> features;
  for (const PictureFeatures& each : batches) {
    const int64_t expected = all.features.size(1), tokens = each.features.size(1);
    check(tokens == expected, ErrorCode::kInvalidArgument,
          "pictures of one frame: expected one number of tokens, got " + std::to_string(expected) +
              " and " + std::to_string(tokens));
    const bool alike = each.grid.rows == all.grid.rows && each.grid.columns == all.grid.columns;
    check(alike || !all.merged, ErrorCode::kUnimplemented,
          "merging between layers: expected pictures of one size");
    features.push_back(each.features);
  }
  if (all.saliency.defined()) {
    std::vector<at::Tensor> saliency;
    for (const PictureFeatures& each : batches) saliency.push_back(each.saliency);
    all.saliency = at::cat(saliency);
  }
  all.features = at::cat(features);
  if (!all.merged) return all;
  const auto column = [&](at::Tensor MergedPlaces::*field) {
    std::vector<at::Tensor> parts;
    for (const PictureFeatures& each : batches) parts.push_back((*each.merged).*field);
    return at::cat(parts);
  };
  all.merged = MergedPlaces{column(&MergedPlaces::row_of), column(&MergedPlaces::sizes),
                            column(&MergedPlaces::likeness), 0};
  for (const PictureFeatures& each : batches) {
    all.merged->milliseconds += each.merged->milliseconds;
  }
  return all;
}

at::Tensor in_squares(const at::Tensor& features, PatchGrid grid, int64_t side) {
  const int64_t pictures = features.size(0), width = features.size(2);
  const int64_t rows = grid.rows / side, columns = grid.columns / side;
  return features.reshape({pictures, rows, side, columns, side, width})
      .transpose(2, 3)
      .reshape({pictures, rows * columns, side * side * width});
}

PictureFeatures squares_of(const PictureFeatures& pictures, int64_t side) {
  const int64_t rows = pictures.grid.rows, columns = pictures.grid.columns;
  check_shape(pictures.features, "features", {-1, rows * columns, -1});
  check(rows % side == 0 && columns % side == 0, ErrorCode::kInvalidArgument,
        "features: expected a grid in squares of " + std::to_string(side) + ", got " +
            shape_text({rows, columns}));
  PictureFeatures squares{
      in_squares(pictures.features, pictures.grid, side),
      {static_cast<int32_t>(rows / side), static_cast<int32_t>(columns / side)}};
  if (pictures.saliency.defined()) {
    squares.saliency = in_squares(pictures.saliency.unsqueeze(2), pictures.grid, side).mean(2);
  }
  return squares;
}

}  // namespace lv::vision
