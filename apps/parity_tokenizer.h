#pragma once

#include <string>

#include "apps/verdict.h"

namespace lv::apps {

/// A fixture of texts: the ids of each and what they decode to, which must be equal.
Verdict check_tokenizer(const std::string& folder);

}  // namespace lv::apps
