#include "services/models/models.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/output.h"
#include "pipeline/base/json.h"
#include "services/models/check_model.h"
#include "services/models/families.h"

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

/// How to come by a checkpoint of each family, and what it takes.
void print_families() {
  std::printf("\nFamilies that load from a folder, each with one to begin with:\n");
  for (const services::ModelFamily& family : services::model_families()) {
    std::printf(
        "  %-40s %s\n    %.1f GB  hf download %s --local-dir DIR; longview caption FILE --model "
        "DIR\n",
        std::string(family.architecture).c_str(), std::string(family.what).c_str(),
        family.example_gb, std::string(family.example).c_str());
  }
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
  print_families();
}

Json names_json(const std::vector<std::string>& names) {
  Json all = Json::Array();
  for (const std::string& name : names) all.push_back(name);
  return all;
}

Json report_json(const services::ModelReport& report) {
  Json out;
  out.set("path", report.path);
  out.set("loads", report.loads());
  out.set("architecture", report.architecture);
  out.set("family", report.family);
  out.set("parameters", report.parameters);
  out.set("disk_bytes", report.disk_bytes);
  out.set("context_tokens", report.context_tokens);
  Json parts = Json::Array();
  for (const services::PartReport& part : report.parts) {
    Json one;
    one.set("part", part.part);
    one.set("architecture", part.architecture);
    one.set("parameters", part.parameters);
    one.set("problem", part.problem);
    one.set("missing", names_json(part.misfit.missing));
    one.set("other_shapes", names_json(part.misfit.other_shapes));
    one.set("unknown", names_json(part.misfit.unknown));
    parts.push_back(one);
  }
  out.set("parts", parts);
  Json memory = Json::Array();
  for (const services::MemoryNeed& need : report.memory) {
    Json one;
    one.set("dtype", need.dtype);
    one.set("weight_bytes", need.weight_bytes);
    one.set("context_token_bytes", need.context_token_bytes);
    memory.push_back(one);
  }
  out.set("memory", memory);
  out.set("notes", names_json(report.notes));
  return out;
}

void print_names(const char* what, const std::vector<std::string>& names) {
  for (const std::string& name : names) std::printf("    %s: %s\n", what, printable(name).c_str());
}

void print(const services::ModelReport& report) {
  std::printf("%s: %s\n", report.path.c_str(), report.loads() ? "loads" : "does not load");
  if (report.parameters > 0) {
    std::printf("  %s (%s), %.1f million parameters, %.1f MB on disk\n",
                printable(report.architecture).c_str(), printable(report.family).c_str(),
                static_cast<double>(report.parameters) / 1e6,
                static_cast<double>(report.disk_bytes) / 1e6);
  }
  for (const services::PartReport& part : report.parts) {
    std::printf("  %-16s %s%s%s\n", part.part.c_str(), part.problem.empty() ? "ok" : "NO",
                part.architecture.empty() ? "" : "  ", part.architecture.c_str());
    const bool listed = !part.misfit.empty();
    if (!part.problem.empty() && !listed) std::printf("    %s\n", printable(part.problem).c_str());
    print_names("missing", part.misfit.missing);
    print_names("other shape", part.misfit.other_shapes);
    print_names("not known", part.misfit.unknown);
  }
  for (const services::MemoryNeed& need : report.memory) {
    std::printf("  --dtype %-9s %9.1f MB of weights, %.1f MB for %lld tokens of context\n",
                need.dtype.c_str(), static_cast<double>(need.weight_bytes) / 1e6,
                static_cast<double>(need.context_token_bytes * report.context_tokens) / 1e6,
                static_cast<long long>(report.context_tokens));
  }
  for (const std::string& note : report.notes) std::printf("  %s\n", note.c_str());
}

void check_models(const std::vector<std::string>& paths, const std::string& projector, bool json) {
  bool all = true;
  for (const std::string& path : paths) {
    const services::ModelReport report = services::check_model(path, projector);
    all = report.loads() && all;
    if (json) {
      std::cout << report_json(report).dump() << "\n";
    } else {
      print(report);
    }
  }
  if (!all) throw CLI::RuntimeError(1);
}

}  // namespace

void add_models(CLI::App& program) {
  auto json = std::make_shared<bool>(false);
  auto paths = std::make_shared<std::vector<std::string>>();
  auto projector = std::make_shared<std::string>();
  CLI::App* command =
      program.add_subcommand("models", "List the models known here and where they are");
  command->add_flag("--json", *json, "print one JSON array, or one object a line");
  CLI::App* check = command->add_subcommand(
      "check", "Say whether folders or .gguf files would load, from their headers alone");
  check->add_option("PATH", *paths, "folders or .gguf files")->required();
  check->add_flag("--json", *json, "print one JSON object a line");
  add_projector_flag(*check, *projector);
  check->callback([paths, projector, json] { check_models(*paths, *projector, *json); });
  command->callback([command, check, json] {
    if (!command->got_subcommand(check)) run(*json);
  });
}

}  // namespace lv::apps
