#pragma once

namespace lv {

/// Whether this machine has AVX2 with fused multiplication, for code that is compiled for them.
bool has_avx2();

}  // namespace lv
