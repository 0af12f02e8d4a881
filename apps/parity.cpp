#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/parity_families.h"
#include "apps/parity_tokenizer.h"
#include "apps/verdict.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"

namespace lv::apps {
namespace {

/// Adds one output to the verdict. Integers, as greedy ids, must be equal.
void compare(const std::string& name, const at::Tensor& got, const at::Tensor& expected,
             Verdict& verdict) {
  if (!got.defined() || got.sizes() != expected.sizes()) {
    verdict.reason = name + ": expected " + shape_text(expected.sizes()) + ", got " +
                     (got.defined() ? shape_text(got.sizes()) : "nothing");
    return;
  }
  const at::Tensor a = got.to(at::kDouble);
  const at::Tensor b = expected.to(at::kDouble);
  if (name == "greedy_ids") {
    if (!at::equal(a, b)) verdict.reason = name + ": differ";
    return;
  }
  if (a.numel() == 0) return;
  const double scale = std::max(b.abs().max().item<double>(), 1e-30);
  const double error = (a - b).abs().max().item<double>() / scale;
  verdict.error = std::max(verdict.error, error);
  // Written so that NaN fails.
  if (!(error <= verdict.tolerance)) verdict.reason = name + ": beyond tolerance";
}

Verdict check_tensors(const std::string& folder, const Json& about) {
  Verdict verdict;
  verdict.tolerance = about.at("tolerance").as_double();
  const std::string family = about.at("family").as_string();
  const auto known = families().find(family);
  if (known == families().end()) {
    verdict.reason = "family " + family + " is not known here";
    return verdict;
  }
  const Fixture fixture{folder + "/model", open_safetensors(folder + "/inputs.safetensors")};
  const TensorStorePtr expected = open_safetensors(folder + "/expected.safetensors");
  const Outputs outputs = known->second(fixture);
  for (const auto& [name, shape] : about.at("outputs").as_object()) {
    const auto got = outputs.find(name);
    compare(name, got == outputs.end() ? at::Tensor() : got->second,
            std::get<at::Tensor>(expected->get(name)), verdict);
    if (!verdict.reason.empty()) break;
  }
  return verdict;
}

bool report(const std::string& folder) {
  const std::string name = std::filesystem::path(folder).lexically_normal().filename().string();
  Verdict verdict;
  try {
    const Json about = read_json_file(folder + "/about.json");
    const bool tokenizer = about.at("family").as_string() == "tokenizer";
    verdict = tokenizer ? check_tokenizer(folder) : check_tensors(folder, about);
  } catch (const Error& problem) {
    verdict.reason = problem.what();
  }
  const bool pass = verdict.reason.empty();
  std::printf("%s %s %.3g %.3g%s%s\n", pass ? "PASS" : "FAIL", name.c_str(), verdict.error,
              verdict.tolerance, pass ? "" : " ", verdict.reason.c_str());
  std::fflush(stdout);
  return pass;
}

}  // namespace

void add_parity(CLI::App& program) {
  auto folders = std::make_shared<std::vector<std::string>>();
  CLI::App* command =
      program.add_subcommand("parity", "Compare with fixtures of the reference implementations");
  command->add_option("FOLDER", *folders, "fixtures, as the reference scripts write them")
      ->required();
  command->callback([folders] {
    bool all = true;
    for (std::string folder : *folders) {
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
      all = report(folder) && all;
    }
    if (!all) throw CLI::RuntimeError(1);
  });
}

}  // namespace lv::apps
