#include "llm/plan/check_keys.h"

#include <algorithm>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv::llm {

void check_keys(const Json& value, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const auto& [key, member] : value.as_object()) {
    check(std::ranges::find(known, key) != known.end(), ErrorCode::kInvalidArgument,
          where + ": '" + key + "' is not known; there are " + joined_text(known));
  }
}

}  // namespace lv::llm
