#pragma once

#include <memory>

#include "vision/read/text_reader.h"

namespace lv::vision {

/// Follows a film for `reader`, which outlives it.
std::unique_ptr<StillReading> make_still_reading(const TextReader& reader);

/// Whether two recognised lines are the same text: digit for digit, and letter for letter or but
/// for a slip in five. Spaces, case and punctuation do not count.
bool same_text(const std::string& a, const std::string& b);

}  // namespace lv::vision
