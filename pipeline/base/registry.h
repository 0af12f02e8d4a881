#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv {

/// A visible table of named factories. Immutable after construction, so thread-safe.
///
/// `Args` are what a factory takes, often just Params. A name given twice is a bug of ours and
/// throws at start-up.
template <class T, class... Args>
class Registry {
 public:
  using Factory = std::unique_ptr<T> (*)(Args...);

  Registry(std::string kind, std::initializer_list<std::pair<std::string, Factory>> entries)
      : kind_(std::move(kind)) {
    for (const auto& [name, factory] : entries) {
      check(factories_.emplace(name, factory).second, ErrorCode::kInternal,
            kind_ + " " + name + ": registered twice");
    }
  }

  /// Makes the component called `name`. Throws kNotFound that lists the known names.
  std::unique_ptr<T> make(std::string_view name, Args... args) const {
    const auto it = factories_.find(name);
    if (it == factories_.end()) {
      throw Error(ErrorCode::kNotFound, kind_ + " '" + std::string(name) +
                                            "': not known; there are " + joined_text(names()));
    }
    return it->second(std::forward<Args>(args)...);
  }

  bool contains(std::string_view name) const { return factories_.find(name) != factories_.end(); }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, factory] : factories_) all.push_back(name);
    return all;
  }

 private:
  std::string kind_;
  std::map<std::string, Factory, std::less<>> factories_;
};

}  // namespace lv
