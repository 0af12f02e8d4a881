#include "services/models/models.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "pipeline/base/json.h"

namespace lv::apps {
namespace {

Json card_json(const services::ModelCard& card) {
  Json out;
  out.set("name", card.name);
  out.set("what", card.what);
  out.set("on_disk", card.missing.empty());
  out.set("bytes", card.bytes);
  Json missing = Json::Array();
  for (const std::string& path : card.missing) missing.push_back(path);
  out.set("missing", missing);
  out.set("license", card.license);
  return out;
}

void run(bool json) {
  const std::vector<services::ModelCard> cards = services::known_models();
  if (json) {
    Json all = Json::Array();
    for (const services::ModelCard& card : cards) all.push_back(card_json(card));
    std::cout << all.dump() << "\n";
    return;
  }
  for (const services::ModelCard& card : cards) {
    std::printf("%-26s %7.1f MB  %-10s %s (%s)\n", card.name.c_str(),
                static_cast<double>(card.bytes) / 1e6, card.missing.empty() ? "ready" : "missing",
                card.what.c_str(), card.license.c_str());
    for (const std::string& path : card.missing) {
      std::printf("%-26s missing: %s (./longview fetches it)\n", "", path.c_str());
    }
  }
}

}  // namespace

void add_models(CLI::App& program) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command =
      program.add_subcommand("models", "List the models known here and where they are");
  command->add_flag("--json", *json, "print one JSON array");
  command->callback([json] { run(*json); });
}

}  // namespace lv::apps
