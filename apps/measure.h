#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <vector>

namespace lv::apps {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start);
double milliseconds_since(Clock::time_point start);

/// Waits until `values` are there; a GPU is asked for one of them.
void wait_for(const at::Tensor& values);

/// The value below which a share `at` of at least one value lies; 0.5 for the median.
double quantile(std::vector<double> values, double at);

/// How near what a model says is to what another says, as means over tokens.
struct Agreement {
  double kl = 0;    // Kullback-Leibler divergence from the reference, in nats
  double top1 = 1;  // share of tokens with the same likeliest one
};
/// From log-probabilities [tokens, V].
Agreement agreement(const at::Tensor& reference, const at::Tensor& got);

}  // namespace lv::apps
