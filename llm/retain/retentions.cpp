#include "llm/retain/retention.h"

namespace lv::llm {

const Registry<Retention, const Json&, int64_t>& retentions() {
  static const Registry<Retention, const Json&, int64_t> all{"plan.retain.kind",
                                                             {
                                                                 {"prefixkv", make_prefix_kv},
                                                             }};
  return all;
}

std::unique_ptr<Retention> make_retention(const Json& settings, int64_t layers) {
  return retentions().make(settings.at("kind").as_string(), settings, layers);
}

}  // namespace lv::llm
