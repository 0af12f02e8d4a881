#pragma once

#include <string>
#include <string_view>

namespace lv::services {

/// `text` with each byte that is no part of valid UTF-8 as U+FFFD. A protobuf string that is not
/// UTF-8 makes its receiver refuse the whole message; file names and container texts may be
/// anything.
std::string valid_utf8(std::string_view text);

}  // namespace lv::services
