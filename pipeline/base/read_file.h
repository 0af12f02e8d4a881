#pragma once

#include <cstdint>
#include <string>

namespace lv {

/// All bytes of a file. Throws kNotFound if there is none that can be read, kInvalidArgument if it
/// has more than `limit_bytes`.
std::string file_contents(const std::string& path, int64_t limit_bytes);

}  // namespace lv
