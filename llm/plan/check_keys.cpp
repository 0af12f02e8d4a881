#include "llm/plan/check_keys.h"

#include "pipeline/base/error.h"

namespace lv::llm {

void check_keys(const Json& value, const std::string& where,
                std::initializer_list<std::string_view> known) {
  for (const auto& [key, member] : value.as_object()) {
    bool found = false;
    std::string names;
    for (const std::string_view name : known) {
      found = found || key == name;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    check(found, ErrorCode::kInvalidArgument,
          where + ": '" + key + "' is not known; there are " + names);
  }
}

}  // namespace lv::llm
