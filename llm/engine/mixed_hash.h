#pragma once

#include <cstdint>

namespace lv::llm {

/// Spreads the bits of two numbers over one (the finaliser of SplitMix64).
inline uint64_t mixed_hash(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15U + b + 0x632be59bd9b4e019U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace lv::llm
