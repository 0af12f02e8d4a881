#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "pipeline/base/json.h"

namespace lv::llm {

/// Throws kInvalidArgument, beginning with `where`, if an object has a member that is not known.
void check_keys(const Json& value, const std::string& where,
                std::initializer_list<std::string_view> known);

}  // namespace lv::llm
