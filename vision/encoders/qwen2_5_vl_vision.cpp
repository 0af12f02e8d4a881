#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/norm.h"
#include "pipeline/nn/rope.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

constexpr double kEps = 1e-6;
constexpr double kRopeTheta = 10000;

struct Shape {
  int64_t depth, width, heads, mlp_width, out_width;
  int64_t patch_side, frames, merge_side, window_patches;
  std::set<int64_t> full_blocks;

  static Shape from_config(const Json& config) {
    const auto size = [&](const char* key) {
      const int64_t value = config.at(key).as_int();
      check(value >= 1 && value <= 1 << 16, ErrorCode::kInvalidArgument,
            std::string(key) + ": expected 1 to 65536, got " + std::to_string(value));
      return value;
    };
    Shape shape{size("depth"),
                size("hidden_size"),
                size("num_heads"),
                size("intermediate_size"),
                size("out_hidden_size"),
                size("patch_size"),
                size("temporal_patch_size"),
                size("spatial_merge_size"),
                0,
                {}};
    check(shape.width % (4 * shape.heads) == 0, ErrorCode::kInvalidArgument,
          "hidden_size: expected a multiple of 4 x " + std::to_string(shape.heads) +
              " heads, got " + std::to_string(shape.width));
    // Windows are whole numbers of merged places.
    const int64_t merged_pixels = shape.patch_side * shape.merge_side;
    shape.window_patches =
        std::max<int64_t>(1, size("window_size") / merged_pixels) * shape.merge_side;
    for (const Json& block : config.at("fullatt_block_indexes").as_array()) {
      shape.full_blocks.insert(block.as_int());
    }
    const std::string activation = config.get("hidden_act", "silu");
    check(activation == "silu", ErrorCode::kUnimplemented,
          "hidden_act: expected silu, got " + activation);
    return shape;
  }
};

/// A part of the grid of patches that windows of one size fill.
struct Region {
  int64_t top, left, rows, columns;
  int64_t window_rows, window_columns;
};

/// Windows of `side` x `side` patches from the upper left corner; what is left at the right and
/// the lower edge is windows of its own.
std::vector<Region> regions_of(int64_t rows, int64_t columns, int64_t side) {
  std::vector<Region> all;
  const int64_t whole_rows = rows / side * side, whole_columns = columns / side * side;
  const auto add = [&](int64_t top, int64_t left, int64_t height, int64_t width, int64_t tall,
                       int64_t wide) {
    if (height > 0 && width > 0) all.push_back({top, left, height, width, tall, wide});
  };
  const int64_t rest_rows = rows - whole_rows, rest_columns = columns - whole_columns;
  add(0, 0, whole_rows, whole_columns, side, side);
  add(0, whole_columns, whole_rows, rest_columns, side, rest_columns);
  add(whole_rows, 0, rest_rows, whole_columns, rest_rows, side);
  add(whole_rows, whole_columns, rest_rows, rest_columns, rest_rows, rest_columns);
  return all;
}

class Block {
 public:
  Block(const WeightScope& scope, const Shape& shape, bool windowed)
      : norm1_(scope / "norm1", shape.width, kEps),
        norm2_(scope / "norm2", shape.width, kEps),
        qkv_(scope / "attn" / "qkv", shape.width, 3 * shape.width),
        out_(scope / "attn" / "proj", shape.width, shape.width),
        gate_(scope / "mlp" / "gate_proj", shape.width, shape.mlp_width),
        up_(scope / "mlp" / "up_proj", shape.width, shape.mlp_width),
        down_(scope / "mlp" / "down_proj", shape.mlp_width, shape.width),
        heads_(shape.heads),
        windowed_(windowed) {}

  /// [P, N, D] -> [P, N, D], patches row by row.
  at::Tensor operator()(const at::Tensor& x, const RopeTable& places, PatchGrid grid,
                        const std::vector<Region>& windows) const {
    const at::Tensor attended = x + attention(norm1_(x), places, grid, windows);
    const at::Tensor normed = norm2_(attended);
    return attended + down_(at::silu(gate_(normed)) * up_(normed));
  }

 private:
  at::Tensor attention(const at::Tensor& x, const RopeTable& places, PatchGrid grid,
                       const std::vector<Region>& windows) const {
    const int64_t pictures = x.size(0), count = x.size(1), width = x.size(2);
    const int64_t head_size = width / heads_;
    const auto parts = qkv_(x).view({pictures * count, 3, heads_, head_size}).unbind(1);
    at::Tensor q = parts[0].contiguous(), k = parts[1].contiguous();
    rotate_(q, places);
    rotate_(k, places);
    const std::array<int64_t, 5> whole{pictures, grid.rows, grid.columns, heads_, head_size};
    const at::Tensor queries = q.view(whole), keys = k.view(whole);
    const at::Tensor values = parts[2].reshape(whole);
    if (!windowed_) {
      const Region all{0, 0, grid.rows, grid.columns, grid.rows, grid.columns};
      return out_(in_windows(queries, keys, values, all).reshape({pictures, count, width}));
    }
    at::Tensor mixed = at::empty_like(queries);
    for (const Region& region : windows) {
      mixed.narrow(1, region.top, region.rows)
          .narrow(2, region.left, region.columns)
          .copy_(in_windows(queries, keys, values, region));
    }
    return out_(mixed.view({pictures, count, width}));
  }

  /// Attention within each window of a region: [P, rows, columns, H, Dh] of the region.
  static at::Tensor in_windows(const at::Tensor& queries, const at::Tensor& keys,
                               const at::Tensor& values, const Region& region) {
    const int64_t pictures = queries.size(0), heads = queries.size(3), size = queries.size(4);
    const int64_t down = region.rows / region.window_rows;
    const int64_t across = region.columns / region.window_columns;
    const auto split = [&](const at::Tensor& x) {  // [P * windows, H, patches, Dh]
      return x.narrow(1, region.top, region.rows)
          .narrow(2, region.left, region.columns)
          .reshape({pictures, down, region.window_rows, across, region.window_columns, heads, size})
          .permute({0, 1, 3, 5, 2, 4, 6})
          .reshape(
              {pictures * down * across, heads, region.window_rows * region.window_columns, size});
    };
    return at::scaled_dot_product_attention(split(queries), split(keys), split(values))
        .view({pictures, down, across, heads, region.window_rows, region.window_columns, size})
        .permute({0, 1, 4, 2, 5, 3, 6})
        .reshape({pictures, region.rows, region.columns, heads, size});
  }

  RmsNorm norm1_, norm2_;
  Linear qkv_, out_, gate_, up_, down_;
  int64_t heads_;
  bool windowed_;
};

/// Qwen2.5-VL's vision transformer for pictures of any size: attention within windows in most
/// blocks, rotary positions in rows and columns, and at the end squares of patches merged to the
/// language model's width, so that no connector follows. `temporal_patch_size` frames of a film are
/// read as one picture, and a picture as that many equal frames.
/// Reference: Bai et al., Qwen2.5-VL Technical Report, arXiv 2502.13923, section 2.1.
class Qwen25VlVision : public ImageEncoder {
 public:
  Qwen25VlVision(const Json& config, const WeightScope& scope)
      : shape_(Shape::from_config(config)),
        film_weight_((scope / "patch_embed" / "proj")
                         .get("weight", {shape_.width, 3, shape_.frames, shape_.patch_side,
                                         shape_.patch_side})
                         .transpose(1, 2)
                         .flatten(1, 2)
                         .contiguous()),
        // Equal frames see the sum of the kernels over time.
        patch_weight_(film_weight_.unflatten(1, {shape_.frames, 3}).sum(1)),
        merged_width_(shape_.width * shape_.merge_side * shape_.merge_side),
        merge_norm_(scope / "merger" / "ln_q", shape_.width, kEps),
        merge1_(scope / "merger" / "mlp" / 0, merged_width_, merged_width_),
        merge2_(scope / "merger" / "mlp" / 2, merged_width_, shape_.out_width) {
    for (int64_t i = 0; i < shape_.depth; ++i) {
      blocks_.emplace_back(scope / "blocks" / i, shape_, !shape_.full_blocks.contains(i));
    }
  }

  PictureFeatures encode(const at::Tensor& pixels) const override {
    const bool film = pixels.dim() == 5;
    if (film) {
      check_shape(pixels, "pixels", {-1, shape_.frames, 3, -1, -1});
    } else {
      check_shape(pixels, "pixels", {-1, 3, -1, -1});
    }
    const int64_t side = shape_.patch_side * shape_.merge_side;
    check(pixels.size(-2) > 0 && pixels.size(-1) > 0 && pixels.size(-2) % side == 0 &&
              pixels.size(-1) % side == 0,
          ErrorCode::kInvalidArgument,
          "pixels: expected sides that are multiples of " + std::to_string(side) + ", got " +
              shape_text(pixels.sizes()));
    const at::Tensor& weight = film ? film_weight_ : patch_weight_;
    const at::Tensor seen = film ? pixels.flatten(1, 2) : pixels;
    const at::Tensor patches = at::conv2d(seen.to(weight.options()), weight, {}, shape_.patch_side);
    const PatchGrid grid{static_cast<int32_t>(patches.size(2)),
                         static_cast<int32_t>(patches.size(3))};
    const RopeTable places = places_of(grid, pixels.size(0));
    const std::vector<Region> windows = regions_of(grid.rows, grid.columns, shape_.window_patches);
    at::Tensor x = patches.flatten(2).transpose(1, 2);
    for (const Block& block : blocks_) {
      check_cancelled();
      x = block(x, places, grid, windows);
    }
    return {merge2_(at::gelu(merge1_(in_squares(merge_norm_(x), grid, shape_.merge_side)))),
            {static_cast<int32_t>(grid.rows / shape_.merge_side),
             static_cast<int32_t>(grid.columns / shape_.merge_side)}};
  }

  int64_t frames_together() const override { return shape_.frames; }
  int64_t width() const override { return shape_.out_width; }
  const Linear* class_head() const override { return nullptr; }

 private:
  /// Half of a head's pairs turn with the row, half with the column.
  RopeTable places_of(PatchGrid grid, int64_t pictures) const {
    const int64_t quarter = shape_.width / shape_.heads / 4;
    const at::Tensor exponents = at::arange(quarter, at::kDouble) / static_cast<double>(quarter);
    const at::Tensor frequencies = at::pow(kRopeTheta, exponents.neg());
    const at::Tensor rows = at::arange(grid.rows, at::kDouble).unsqueeze(1) * frequencies;
    const at::Tensor columns = at::arange(grid.columns, at::kDouble).unsqueeze(1) * frequencies;
    const at::Tensor angles =
        at::cat({rows.unsqueeze(1).expand({grid.rows, grid.columns, quarter}),
                 columns.unsqueeze(0).expand({grid.rows, grid.columns, quarter})},
                2)
            .reshape({-1, 2 * quarter})
            .repeat({pictures, 1});
    const auto placed = [&](const at::Tensor& x) {
      return x.to(patch_weight_.device(), at::kFloat);
    };
    return {placed(angles.cos()), placed(angles.sin())};
  }

  Shape shape_;
  at::Tensor film_weight_;   // [D, T * 3, S, S]
  at::Tensor patch_weight_;  // [D, 3, S, S]
  int64_t merged_width_;
  RmsNorm merge_norm_;
  Linear merge1_, merge2_;
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_qwen2_5_vl_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<Qwen25VlVision>(config, scope);
}

}  // namespace lv::vision
