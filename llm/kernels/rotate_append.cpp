#include "llm/kernels/rotate_append.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "llm/kernels/launch.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/kernels/on_device.h"

namespace lv::llm {
namespace {

/// Where the newest tokens lie among all slots, and whose they are.
struct Newest {
  std::vector<int64_t> rows, slots;
};

Newest newest(const PagePlans& pages) {
  const at::Tensor plans = pages.plans.cpu();
  const auto* plan = plans.const_data_ptr<int32_t>();
  const int64_t slots = pages.keys.size(1);
  const int64_t head = plan_size(0);
  Newest found;
  for (int64_t s = 0; s < plans.size(0); ++s, plan += plans.size(1)) {
    const int64_t token = std::max(plan[1], plan[3]) - 1;
    if (token < 0) continue;
    found.rows.push_back(s);
    found.slots.push_back(plan[head + token / slots] * slots + token % slots);
  }
  return found;
}

}  // namespace

void rotate_append(at::Tensor& q, at::Tensor& k, const at::Tensor& v, const RopeTable& table,
                   const PagePlans& pages) {
  const int64_t count = pages.plans.size(0), kv_heads = pages.keys.size(2);
  const int64_t width = pages.keys.size(3);
  check_shape(q, "rotate_append q", {count, -1, width});
  check_shape(k, "rotate_append k", {count, kv_heads, width});
  check_shape(v, "rotate_append v", {count, kv_heads, width});
  const bool rotates = table.cos.defined();
  const auto taken = [&](const at::Tensor& x) {
    return kernels_take(x) && x.scalar_type() == pages.keys.scalar_type();
  };
  const bool by_kernel = count > 0 && taken(q[0]) && taken(k[0]) && taken(v[0]) &&
                         taken(pages.keys) && width % 2 == 0 &&
                         (!rotates || (kernels_take(table.cos) && kernels_take(table.sin)));
  if (by_kernel) {
    launch_rotate_append(
        {q.mutable_data_ptr(), k.const_data_ptr(), v.const_data_ptr(),
         rotates ? table.cos.const_data_ptr<float>() : nullptr,
         rotates ? table.sin.const_data_ptr<float>() : nullptr, pages.keys.mutable_data_ptr(),
         pages.values.mutable_data_ptr(), pages.plans.const_data_ptr<int32_t>(),
         *element_of(q.scalar_type()), count, q.size(1), kv_heads, width,
         rotates ? table.cos.size(1) : 0, pages.keys.size(1), pages.plans.size(1) - plan_size(0),
         q.stride(0), k.stride(0), v.stride(0)},
        current_stream(q));
    return;
  }
  if (rotates) {
    rotate_(q, table);
    rotate_(k, table);
  }
  const Newest to = newest(pages);
  const at::Tensor rows = sent(to.rows, q.device()), slots = sent(to.slots, q.device());
  const auto store = [&](const at::Tensor& pool, const at::Tensor& x) {
    pool.flatten(0, 1).index_copy_(0, slots, x.index_select(0, rows).to(pool.scalar_type()));
  };
  store(pages.keys, k);
  store(pages.values, v);
}

}  // namespace lv::llm
