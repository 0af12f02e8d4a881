#pragma once

#include <string>
#include <vector>

namespace lv::services {

/// Where `python3 -m recipe prepare` puts what the recipe draws with.
std::string recipe_assets();

/// What `python3 -m recipe WORDS...` writes, run in models/nano: data and scores of nano are the
/// recipe's. Throws kFailedPrecondition with the last line of what it complains about.
std::string run_recipe(const std::vector<std::string>& words);

}  // namespace lv::services
