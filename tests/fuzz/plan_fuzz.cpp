#include <string_view>

#include "llm/plan/layer_plan.h"
#include "pipeline/base/error.h"

/// A layer plan in JSON, and what becomes of a configuration under it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  lv::Json config;
  config.set("rope_parameters", lv::Json(lv::Json::Object{{"rope_theta", 10000.0}}));
  try {
    const lv::llm::LayerPlan plan = lv::llm::parse_plan(lv::parse_json(text, "plan"));
    lv::llm::planned_config(plan, config);
    for (int64_t layer = 0; layer < 3; ++layer) lv::llm::choice_for(plan, layer, 3);
  } catch (const lv::Error&) {
  }
  return 0;
}
