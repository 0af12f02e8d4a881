#include "llm/kv/kivi.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr double kLargestHalf = 65504;

int64_t fields_of(const KiviFormat& format) { return 8 / format.bits; }  // codes in a byte

/// Vectors [p, H, Dh, group] -> pages.
at::Tensor encode(const at::Tensor& vectors, const KiviFormat& format) {
  const int64_t pages = vectors.size(0);
  const at::Tensor x = vectors.to(at::kFloat).contiguous();
  const auto most = static_cast<double>((1 << format.bits) - 1);
  const at::Tensor least = x.amin(-1, /*keepdim=*/true);
  const at::Tensor zero = least.clamp(-kLargestHalf, kLargestHalf).to(at::kHalf);
  at::Tensor scale = ((x.amax(-1, true) - least) / most).clamp_max(kLargestHalf).to(at::kHalf);
  scale.masked_fill_(scale == 0, 1);  // all alike
  const at::Tensor codes = ((x - zero) / scale.to(at::kFloat)).round_().clamp_(0, most);
  const at::Tensor fields = codes.nan_to_num_(0.0).to(at::kByte).view(
      {pages, -1, fields_of(format), format.vector_bytes()});
  at::Tensor packed = fields.select(2, 0).clone();
  for (int64_t k = 1; k < fields_of(format); ++k) {
    packed.bitwise_or_(fields.select(2, k) * (1 << (k * format.bits)));
  }
  return at::cat(
      {packed.flatten(1), scale.flatten(1).view(at::kByte), zero.flatten(1).view(at::kByte)}, 1);
}

/// Pages -> vectors [p, H Dh, group].
at::Tensor decode(const at::Tensor& pages, const KiviFormat& format, int64_t vectors) {
  const int64_t code_bytes = vectors * format.vector_bytes();
  const auto numbers = [&](int64_t begin) {
    return pages.slice(1, begin, begin + 2 * vectors)
        .contiguous()
        .view(at::kHalf)
        .to(at::kFloat)
        .unsqueeze(-1);
  };
  const at::Tensor packed =
      pages.slice(1, 0, code_bytes).reshape({-1, vectors, format.vector_bytes()});
  std::vector<at::Tensor> fields;
  for (int64_t k = 0; k < fields_of(format); ++k) {
    fields.push_back(
        packed.bitwise_right_shift(k * format.bits).bitwise_and((1 << format.bits) - 1));
  }
  const at::Tensor codes = at::cat(fields, -1).to(at::kFloat);
  return codes.mul_(numbers(code_bytes)).add_(numbers(code_bytes + 2 * vectors));
}

}  // namespace

void check_kivi(const KiviFormat& format, int64_t head_size, const std::string& where) {
  check(format.bits == 4 || format.bits == 2, ErrorCode::kInvalidArgument,
        where + ".bits: expected 4 or 2, got " + std::to_string(format.bits));
  const int64_t group = format.group;
  check(group >= 8 && group <= 128 && (group & (group - 1)) == 0, ErrorCode::kInvalidArgument,
        where + ".group: expected 8, 16, 32, 64 or 128, got " + std::to_string(group));
  check(head_size % group == 0, ErrorCode::kInvalidArgument,
        where + ".group: expected a divisor of a head's " + std::to_string(head_size) +
            " channels, got " + std::to_string(group));
  check(format.residual >= 0, ErrorCode::kInvalidArgument,
        where + ".residual: expected 0 or more, got " + std::to_string(format.residual));
}

at::Tensor kivi_encode_keys(const at::Tensor& rows, const KiviFormat& format) {
  const at::Tensor pages = rows.view({-1, format.group, rows.size(1), rows.size(2)});
  return encode(pages.permute({0, 2, 3, 1}), format);
}

at::Tensor kivi_encode_values(const at::Tensor& rows, const KiviFormat& format) {
  const at::Tensor pages = rows.view({-1, format.group, rows.size(1), rows.size(2)});
  // [p, group tokens, H, groups, group channels]
  const at::Tensor groups = pages.unflatten(3, {-1, format.group}).permute({0, 2, 3, 1, 4});
  return encode(groups.flatten(2, 3), format);
}

at::Tensor kivi_decode_keys(const at::Tensor& pages, const KiviFormat& format, int64_t heads,
                            int64_t head_size) {
  return decode(pages, format, heads * head_size)
      .view({-1, heads, head_size, format.group})
      .permute({0, 3, 1, 2})
      .reshape({-1, heads, head_size});
}

at::Tensor kivi_decode_values(const at::Tensor& pages, const KiviFormat& format, int64_t heads,
                              int64_t head_size) {
  return decode(pages, format, heads * head_size)
      .view({-1, heads, head_size / format.group, format.group, format.group})
      .permute({0, 3, 1, 2, 4})
      .reshape({-1, heads, head_size});
}

}  // namespace lv::llm
