#include "apps/parity_tokenizer.h"

#include <cstdint>
#include <vector>

#include "llm/tokenizer/tokenizer.h"
#include "pipeline/base/json.h"

namespace lv::apps {

Verdict check_tokenizer(const std::string& folder) {
  const auto tokenizer = llm::load_tokenizer_json(folder + "/model/tokenizer.json");
  const Json texts = read_json_file(folder + "/texts.json");
  const Json expected = read_json_file(folder + "/expected.json");
  Verdict verdict;
  for (size_t i = 0; i < texts.as_array().size(); ++i) {
    const std::vector<int64_t> ids = tokenizer->encode(texts.as_array()[i].as_string(), true);
    Json::Array got;
    for (const int64_t id : ids) got.emplace_back(id);
    const std::string decoded = tokenizer->decode(ids, false);
    const bool equal = Json(got) == expected.at("ids").as_array().at(i) &&
                       Json(decoded) == expected.at("decoded").as_array().at(i);
    if (equal) continue;
    verdict.error = 1;
    verdict.reason = "text " + std::to_string(i) + " differs";
    break;
  }
  return verdict;
}

}  // namespace lv::apps
