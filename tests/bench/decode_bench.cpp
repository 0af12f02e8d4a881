// Times what a step of decoding is made of on a GPU, at the shape of Llama-2-7B: attention to pages
// by sequences, tokens and splits, and the products of a few rows. Bytes moved a second beside
// each.
//   decode_bench
#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <numeric>
#include <vector>

#include "llm/kernels/paged_attention.h"
#include "pipeline/kernels/few_rows_linear.h"
#include "pipeline/kernels/on_device.h"

namespace {

constexpr int64_t kHeads = 32, kWidth = 128, kSlots = 16;
constexpr int kRuns = 200;

/// Seconds of one of many runs; `run` gets its number.
double timed(const std::function<void(int)>& run) {
  const auto wait = [] { at::detail::getCUDAHooks().deviceSynchronize(0); };
  for (int i = 0; i < 20; ++i) run(i);
  wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) run(i);
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kRuns;
}

void attention(int64_t sequences, int64_t tokens, int64_t kv_heads) {
  const auto there = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const int64_t each = (tokens + kSlots - 1) / kSlots;
  const at::Tensor keys = at::randn({sequences * each, kSlots, kv_heads, kWidth}, there);
  const at::Tensor values = at::randn({sequences * each, kSlots, kv_heads, kWidth}, there);
  std::vector<int32_t> plans(static_cast<size_t>(sequences * lv::llm::plan_size(each)));
  std::vector<int32_t> pages(static_cast<size_t>(each));
  const lv::llm::TokenRange all{0, tokens};
  for (int64_t s = 0; s < sequences; ++s) {
    std::iota(pages.begin(), pages.end(), static_cast<int32_t>(s * each));
    lv::llm::write_plan(plans.data() + s * lv::llm::plan_size(each), {&all, 1}, pages);
  }
  const at::Tensor sent = lv::sent(plans, at::kCUDA).view({sequences, -1});
  const at::Tensor q = at::randn({sequences, kHeads, kWidth}, there);
  const double bytes = static_cast<double>(2 * sequences * tokens * kv_heads * kWidth * 2);
  for (const int64_t splits : {1, 2, 3, 4, 6, 8, 16, 32}) {
    if (splits * 64 > tokens) continue;
    const double seconds = timed([&](int) {
      lv::llm::attend_planned(q, {keys, values, sent}, splits, 0.09);
    });
    std::printf(
        "attention: %3ld sequences, %6ld tokens, %2ld key heads, %2ld splits: %7.1f us, %.2f "
        "TB/s\n",
        sequences, tokens, kv_heads, splits, seconds * 1e6, bytes / seconds / 1e12);
  }
}

void product(int64_t rows, int64_t in, int64_t out) {
  const auto there = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  std::vector<at::Tensor> weights;  // more than the cache holds
  for (int64_t held = 0; held < (int64_t{1} << 29); held += 2 * in * out) {
    weights.push_back(at::randn({out, in}, there));
  }
  const at::Tensor x = at::randn({rows, in}, there);
  const auto weight = [&](int i) { return weights[static_cast<size_t>(i) % weights.size()]; };
  const double bytes = static_cast<double>(2 * in * out);
  const double ours = timed([&](int i) { lv::few_rows_linear(x, weight(i)); });
  const double theirs = timed([&](int i) { at::linear(x, weight(i)); });
  std::printf(
      "product: %2ld rows, %5ld -> %5ld: %6.1f us, %.2f TB/s; at::linear %6.1f us, %.2f TB/s\n",
      rows, in, out, ours * 1e6, bytes / ours / 1e12, theirs * 1e6, bytes / theirs / 1e12);
}

}  // namespace

int main() {
  const c10::InferenceMode no_autograd;
  for (const int64_t sequences : {1, 8, 32}) attention(sequences, 1024, 32);
  attention(1, 16384, 32);
  attention(32, 16384, 8);
  for (const int64_t rows : {1, 2, 4, 8, 32}) {
    product(rows, 4096, 12288);
    product(rows, 4096, 4096);
    product(rows, 4096, 22016);
    product(rows, 11008, 4096);
    product(rows, 4096, 32000);
  }
}
