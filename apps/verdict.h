#pragma once

#include <string>

namespace lv::apps {

/// How a fixture compared.
struct Verdict {
  double error = 0;  // largest absolute error divided by the largest absolute expected value
  double tolerance = 0;
  std::string reason;  // empty if it passes
};

}  // namespace lv::apps
