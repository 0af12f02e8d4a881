#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lv::services {

/// The cameras of a car by the names that models were trained with, from the front on: front, front
/// left, front right, rear, rear left, rear right.
const std::vector<std::string>& camera_views();

/// The camera that a user's name means: "left" is "front left", "rear-left" and "back_left" are
/// "rear left". Throws kInvalidArgument that lists the names.
std::string camera_view(std::string_view name);

}  // namespace lv::services
