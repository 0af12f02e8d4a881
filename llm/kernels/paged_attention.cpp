#include "llm/kernels/paged_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "llm/kernels/attend_coded.h"
#include "llm/kernels/attend_rows.h"
#include "llm/kernels/launch.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/cpu_features.h"
#include "pipeline/kernels/crew.h"
#include "pipeline/kernels/on_device.h"

namespace lv::llm {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();
/// Tokens per task. Tasks begin at multiples of it, so that what a sequence computes does not
/// depend on what it shares.
constexpr int64_t kTaskTokens = 256;
constexpr int64_t kMinParallelWork = 1 << 15;  // products; less is not worth a second thread

/// Some tokens of a sequence, for all queries that see them.
struct Piece {
  std::vector<int64_t> queries;
  const KvView* view = nullptr;
  TokenRange tokens;
};

void add_pieces(std::vector<Piece>& pieces, const std::vector<int64_t>& queries, const KvView& view,
                TokenRange range) {
  for (int64_t begin = range.begin; begin < range.end;) {
    int64_t end = std::min(range.end, (begin / kTaskTokens + 1) * kTaskTokens);
    if (begin < view.coded.tokens()) end = std::min(end, view.coded.tokens());
    pieces.push_back({queries, &view, {begin, end}});
    begin = end;
  }
}

/// The pages that a sequence begins with.
struct PageList {
  bool coded = false;
  std::span<const int32_t> table;
  int64_t tokens = 0;  // of a page
};

PageList first_pages(const KvView& view) {
  if (view.coded.tokens() > 0) return {true, view.coded.table, view.coded.format.group};
  return {false, view.table, view.slots()};
}

/// How many tokens these queries share from the first on, in whole tasks.
int64_t shared_tokens(std::span<const PagedQuery> queries, const std::vector<int64_t>& group) {
  if (group.size() < 2) return 0;
  const PagedQuery& first = queries[static_cast<size_t>(group.front())];
  int64_t tokens = std::numeric_limits<int64_t>::max();
  for (const int64_t s : group) {
    const PagedQuery& other = queries[static_cast<size_t>(s)];
    const PageList one = first_pages(first.view);
    const PageList two = first_pages(other.view);
    const auto [end, unused] =
        std::mismatch(one.table.begin(), one.table.end(), two.table.begin(), two.table.end());
    tokens = std::min({tokens, (end - one.table.begin()) * one.tokens, other.seen.front().end});
  }
  return tokens / kTaskTokens * kTaskTokens;
}

std::vector<Piece> plan(std::span<const PagedQuery> queries) {
  std::map<std::pair<bool, int32_t>, std::vector<int64_t>> by_first_page;
  std::vector<Piece> pieces;
  for (size_t s = 0; s < queries.size(); ++s) {
    const PagedQuery& query = queries[s];
    const bool whole = query.seen.front().begin == 0;
    if (whole) {
      const PageList pages = first_pages(query.view);
      by_first_page[{pages.coded, pages.table[0]}].push_back(static_cast<int64_t>(s));
      continue;
    }
    for (const TokenRange& range : query.seen) {
      add_pieces(pieces, {static_cast<int64_t>(s)}, query.view, range);
    }
  }
  for (const auto& [page, group] : by_first_page) {
    const int64_t shared = shared_tokens(queries, group);
    add_pieces(pieces, group, queries[static_cast<size_t>(group.front())].view, {0, shared});
    for (const int64_t s : group) {
      for (const TokenRange& range : queries[static_cast<size_t>(s)].seen) {
        add_pieces(pieces, {s}, queries[static_cast<size_t>(s)].view,
                   {std::max(range.begin, shared), range.end});
      }
    }
  }
  return pieces;
}

/// Sums under way for a piece and one head of keys, in the order of its queries.
struct Task {
  const Piece* piece = nullptr;
  int64_t head = 0;
  int64_t first_row = 0;  // of the scratch memory
};

struct Scratch {
  std::vector<float> queries, sums;     // [rows, Dh]
  std::vector<float> largest, weights;  // [rows]

  Scratch(int64_t rows, int64_t width)
      : queries(static_cast<size_t>(rows * width)),
        sums(queries.size(), 0.0F),
        largest(static_cast<size_t>(rows), kHidden),
        weights(static_cast<size_t>(rows), 0.0F) {}
};

struct Sizes {
  int64_t heads, group, width;  // H, query heads of a key head, Dh
};

/// One head of a page of codes.
CodedHead coded_head(const at::Tensor& pool, const KvView& view, int64_t page, int64_t head) {
  const int64_t width = view.keys.size(3);
  const int64_t vectors = view.keys.size(2) * width;
  const int64_t bytes = view.coded.format.vector_bytes();
  const auto* codes = pool.const_data_ptr<uint8_t>() + page * pool.size(1);
  const auto* scales = reinterpret_cast<const uint16_t*>(codes + vectors * bytes) + head * width;
  return {codes + head * width * bytes, scales, scales + vectors};
}

void run_coded(const Piece& piece, int64_t head, const RunningRows& rows, bool fast) {
  const CodedTokens& coded = piece.view->coded;
  const int64_t group = coded.format.group;
  for (int64_t token = piece.tokens.begin; token < piece.tokens.end;) {
    const int64_t first = token / group * group;
    const int64_t end = std::min(first + group, piece.tokens.end);
    const int64_t page = coded.table[static_cast<size_t>(token / group)];
    const CodedBlock block{coded_head(coded.keys, *piece.view, page, head),
                           coded_head(coded.values, *piece.view, page, head), coded.format,
                           token - first, end - first};
    (fast && group == 32 ? attend_coded_avx2 : attend_coded)(rows, block);
    token = end;
  }
}

void run(const Task& task, const float* q, const Sizes& sizes, float scale, bool fast,
         Scratch& scratch) {
  const Piece& piece = *task.piece;
  const int64_t rows = static_cast<int64_t>(piece.queries.size()) * sizes.group;
  const auto at = static_cast<size_t>(task.first_row);
  float* queries = scratch.queries.data() + at * static_cast<size_t>(sizes.width);
  for (size_t i = 0; i < piece.queries.size(); ++i) {
    const float* from =
        q + (piece.queries[i] * sizes.heads + task.head * sizes.group) * sizes.width;
    for (int64_t d = 0; d < sizes.group * sizes.width; ++d) *queries++ = from[d] * scale;
  }
  const RunningRows running{
      scratch.queries.data() + at * static_cast<size_t>(sizes.width),
      scratch.sums.data() + at * static_cast<size_t>(sizes.width),
      scratch.largest.data() + at,
      scratch.weights.data() + at,
      rows,
      sizes.width,
  };
  const KvView& view = *piece.view;
  const int64_t coded = view.coded.tokens();
  if (piece.tokens.begin < coded) return run_coded(piece, task.head, running, fast);
  const int64_t slots = view.slots();
  const int64_t slot_floats = view.keys.stride(1);
  const auto* keys = view.keys.const_data_ptr<float>() + task.head * sizes.width;
  const auto* values = view.values.const_data_ptr<float>() + task.head * sizes.width;
  for (int64_t token = piece.tokens.begin - coded; token < piece.tokens.end - coded;) {
    KeyBlock block;
    for (; token < piece.tokens.end - coded && block.count < kBlockKeys; ++token, ++block.count) {
      const int64_t page = view.table[static_cast<size_t>(token / slots)];
      const int64_t place = (page * slots + token % slots) * slot_floats;
      block.keys[block.count] = keys + place;
      block.values[block.count] = values + place;
    }
    (fast ? attend_rows_avx2 : attend_rows)(running, block);
  }
}

Partial attend_float(const at::Tensor& q, std::span<const PagedQuery> queries, double scale) {
  const int64_t kv_heads = queries[0].view.keys.size(2);
  const Sizes sizes{q.size(1), q.size(1) / kv_heads, q.size(2)};
  const std::vector<Piece> pieces = plan(queries);
  std::vector<Task> tasks;
  int64_t rows = 0;
  int64_t work = 0;
  for (const Piece& piece : pieces) {
    const int64_t piece_rows = static_cast<int64_t>(piece.queries.size()) * sizes.group;
    for (int64_t head = 0; head < kv_heads; ++head) {
      tasks.push_back({&piece, head, rows});
      rows += piece_rows;
    }
    work += piece_rows * kv_heads * piece.tokens.size() * sizes.width;
  }
  Scratch scratch(rows, sizes.width);
  const at::Tensor input = q.contiguous();
  const auto* from = input.const_data_ptr<float>();
  const bool fast = has_avx2() && sizes.width % 8 == 0;
  const int64_t threads = work < kMinParallelWork ? 1 : at::get_num_threads();
  share_tasks(static_cast<int64_t>(tasks.size()), threads, [&](int64_t i) {
    run(tasks[static_cast<size_t>(i)], from, sizes, static_cast<float>(scale), fast, scratch);
  });

  Partial result{at::zeros(q.sizes(), at::kFloat), at::full({q.size(0), sizes.heads}, kHidden)};
  auto* out = result.out.mutable_data_ptr<float>();
  auto* lse = result.lse.mutable_data_ptr<float>();
  for (const Task& task : tasks) {
    auto row = static_cast<size_t>(task.first_row);
    for (const int64_t s : task.piece->queries) {
      for (int64_t g = 0; g < sizes.group; ++g, ++row) {
        // Normalised as it goes: the share of a part is its weight in the sum so far.
        const int64_t to = s * sizes.heads + task.head * sizes.group + g;
        const float part = scratch.largest[row] + std::log(scratch.weights[row]);
        const float most = std::max(lse[to], part);
        const float total = most + std::log(std::exp(lse[to] - most) + std::exp(part - most));
        const float kept = std::exp(lse[to] - total);
        const float added = std::exp(part - total) / scratch.weights[row];
        const float* sums = scratch.sums.data() + row * static_cast<size_t>(sizes.width);
        float* sum = out + to * sizes.width;
        for (int64_t d = 0; d < sizes.width; ++d) sum[d] = sum[d] * kept + sums[d] * added;
        lse[to] = total;
      }
    }
  }
  return result;
}

Partial attend_gathered(const at::Tensor& q, std::span<const PagedQuery> queries, double scale) {
  std::vector<at::Tensor> outs;
  std::vector<at::Tensor> lses;
  for (size_t s = 0; s < queries.size(); ++s) {
    const KvRows rows = gather(queries[s].view, queries[s].seen);
    const auto row = static_cast<int64_t>(s);
    const Partial part = attend(q.slice(0, row, row + 1), rows.keys, rows.values,
                                {.offset = rows.keys.size(0) - 1}, scale);
    outs.push_back(part.out);
    lses.push_back(part.lse);
  }
  return {at::cat(outs), at::cat(lses)};
}

/// Blocks that keep every multiprocessor of a large GPU busy, and the fewest tokens worth one.
constexpr int64_t kBlocks = 1024;
constexpr int64_t kMinSplitTokens = 64;
constexpr int64_t kPlanHead = 4;  // integers of a plan before its pages

bool kernel_decodes(const at::Tensor& q, std::span<const PagedQuery> queries) {
  const at::Tensor& keys = queries[0].view.keys;
  return kernels_take(q) && kernels_take(keys) && q.scalar_type() == keys.scalar_type() &&
         decodes_width(q.size(2)) && std::ranges::all_of(queries, [](const PagedQuery& x) {
           return x.seen.size() <= 2 && x.view.coded.tokens() == 0;
         });
}

Partial decode_by_kernel(const at::Tensor& q, const PagePlans& pages, int64_t splits,
                         double scale) {
  const int64_t count = q.size(0), heads = q.size(1), width = q.size(2);
  const auto floats = q.options().dtype(at::kFloat);
  at::Tensor sums, part_lse;
  if (splits > 1) {
    sums = at::empty({count, heads, splits, width}, floats);
    part_lse = at::empty({count, heads, splits}, floats);
  }
  Partial result{at::empty({count, heads, width}, q.options()), at::empty({count, heads}, floats)};
  launch_paged_decode(
      {q.const_data_ptr(), pages.keys.const_data_ptr(), pages.values.const_data_ptr(),
       pages.plans.const_data_ptr<int32_t>(), splits > 1 ? sums.mutable_data_ptr<float>() : nullptr,
       splits > 1 ? part_lse.mutable_data_ptr<float>() : nullptr, result.out.mutable_data_ptr(),
       result.lse.mutable_data_ptr<float>(), *element_of(q.scalar_type()), count, heads,
       pages.keys.size(2), width, pages.keys.size(1), pages.plans.size(1) - kPlanHead, splits,
       q.stride(0), static_cast<float>(scale)},
      current_stream(q));
  return result;
}

Partial attend_by_kernel(const at::Tensor& q, std::span<const PagedQuery> queries, double scale) {
  const KvView& first = queries[0].view;
  const auto count = static_cast<int64_t>(queries.size());
  int64_t most_pages = 0;
  int64_t most_tokens = 0;
  for (const PagedQuery& query : queries) {
    int64_t tokens = 0;
    for (const TokenRange& range : query.seen) tokens += range.size();
    most_tokens = std::max(most_tokens, tokens);
    most_pages = std::max(most_pages, static_cast<int64_t>(query.view.table.size()));
  }
  const int64_t row = kPlanHead + most_pages;
  std::vector<int32_t> plans(static_cast<size_t>(count * row), 0);
  for (size_t s = 0; s < queries.size(); ++s) {
    write_plan(plans.data() + s * static_cast<size_t>(row), queries[s].seen, queries[s].view.table);
  }
  const at::Tensor sent_plans = sent(plans, q.device()).view({count, row});
  const int64_t splits = decode_splits(count, first.keys.size(2), most_tokens);
  return decode_by_kernel(q, {first.keys, first.values, sent_plans}, splits, scale);
}

/// By LibTorch's operators, one sequence after another.
Partial attend_planned_reference(const at::Tensor& q, const PagePlans& pages, double scale) {
  const at::Tensor plans = pages.plans.cpu();
  const auto* plan = plans.const_data_ptr<int32_t>();
  Partial result{at::zeros(q.sizes(), q.options()),
                 at::full({q.size(0), q.size(1)}, kHidden, q.options().dtype(at::kFloat))};
  for (int64_t s = 0; s < q.size(0); ++s, plan += plans.size(1)) {
    std::vector<TokenRange> seen;
    for (const int64_t at : {0, 2}) {
      if (plan[at + 1] > plan[at]) seen.push_back({plan[at], plan[at + 1]});
    }
    if (seen.empty()) continue;
    const std::span<const int32_t> table(plan + kPlanHead,
                                         static_cast<size_t>(plans.size(1) - kPlanHead));
    const KvRows rows = gather({pages.keys, pages.values, table, seen.back().end}, seen);
    const Partial part = attend(q.slice(0, s, s + 1), rows.keys, rows.values,
                                {.offset = rows.keys.size(0) - 1}, scale);
    result.out[s].copy_(part.out[0]);
    result.lse[s].copy_(part.lse[0]);
  }
  return result;
}

}  // namespace

void write_plan(int32_t* plan, std::span<const TokenRange> seen, std::span<const int32_t> pages) {
  std::fill_n(plan, kPlanHead, 0);
  for (size_t i = 0; i < seen.size(); ++i) {
    plan[2 * i] = static_cast<int32_t>(seen[i].begin);
    plan[2 * i + 1] = static_cast<int32_t>(seen[i].end);
  }
  std::ranges::copy(pages, plan + kPlanHead);
}

int64_t plan_size(int64_t pages) { return kPlanHead + pages; }

int64_t decode_splits(int64_t sequences, int64_t kv_heads, int64_t tokens) {
  const int64_t wanted = std::max<int64_t>(1, kBlocks / (sequences * kv_heads));
  return std::clamp<int64_t>((tokens + kMinSplitTokens - 1) / kMinSplitTokens, 1, wanted);
}

Partial attend_planned(const at::Tensor& q, const PagePlans& pages, int64_t splits, double scale) {
  check_shape(q, "paged attention q", {pages.plans.size(0), -1, pages.keys.size(3)});
  const bool by_kernel = kernels_take(q[0]) && kernels_take(pages.keys) && q.stride(0) % 8 == 0 &&
                         q.scalar_type() == pages.keys.scalar_type() && decodes_width(q.size(2));
  return by_kernel ? decode_by_kernel(q, pages, splits, scale)
                   : attend_planned_reference(q.contiguous(), pages, scale);
}

Partial attend_paged(const at::Tensor& q, std::span<const PagedQuery> queries, double scale) {
  check(!queries.empty(), ErrorCode::kInternal, "paged attention: expected at least one query");
  const at::Tensor& keys = queries[0].view.keys;
  check_shape(q, "paged attention q", {static_cast<int64_t>(queries.size()), -1, keys.size(3)});
  check(q.size(1) % keys.size(2) == 0, ErrorCode::kInternal,
        "paged attention: expected query heads to be a multiple of key heads");
  for (const PagedQuery& query : queries) {
    check(!query.seen.empty() && query.seen.front().size() > 0, ErrorCode::kInternal,
          "paged attention: expected each query to see a token");
  }
  const bool floats = q.scalar_type() == at::kFloat && keys.scalar_type() == at::kFloat;
  if (q.is_cpu() && floats) return attend_float(q, queries, scale);
  const at::Tensor rows = q.contiguous();
  return kernel_decodes(rows, queries) ? attend_by_kernel(rows, queries, scale)
                                       : attend_gathered(rows, queries, scale);
}

}  // namespace lv::llm
