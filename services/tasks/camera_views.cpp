#include "services/tasks/camera_views.h"

#include <algorithm>
#include <map>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv::services {

const std::vector<std::string>& camera_views() {
  static const std::vector<std::string> all{"front", "front left", "front right",
                                            "rear",  "rear left",  "rear right"};
  return all;
}

std::string camera_view(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> others{{"back", "rear"},
                                                                      {"back left", "rear left"},
                                                                      {"back right", "rear right"},
                                                                      {"left", "front left"},
                                                                      {"right", "front right"}};
  std::string view(name);
  std::ranges::replace_if(
      view, [](char c) { return c == '_' || c == '-'; }, ' ');
  if (const auto other = others.find(view); other != others.end()) view = other->second;
  check(std::ranges::find(camera_views(), view) != camera_views().end(),
        ErrorCode::kInvalidArgument,
        "view '" + std::string(name) + "': expected one of " + joined_text(camera_views()));
  return view;
}

}  // namespace lv::services
