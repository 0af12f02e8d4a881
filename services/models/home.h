#pragma once

#include <string>

namespace lv::services {

/// The checkout: $LONGVIEW_HOME, or where the program was built.
std::string home();

}  // namespace lv::services
