#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/tasks/retrieval.h"

namespace lv::services {

/// What the page's layout answers, for models that cannot read pages: the cell that the question's
/// words label best. Labels are the first cell of its row, the one left of it, those above and
/// below it, and what stands before a colon in the cell itself; the largest writing is the title.
/// The rarer a word is on the pages, the more it counts, as in bm25(). A cell that says no more
/// than the question is no answer. None if less than a third of what the question says is there.
std::optional<std::string> look_up(const std::string& question, const std::vector<ReadPage>& pages);

}  // namespace lv::services
