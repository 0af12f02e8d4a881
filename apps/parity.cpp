#include <ATen/ATen.h>
#include <c10/util/Exception.h>

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

/// For types of 8 or 11 bits, which the fixtures' own tolerances are not made for: run in bfloat16,
/// the reference itself is up to 0.081 away (YaRN with an attention factor).
constexpr double kNarrowTolerance = 0.1;
constexpr double kMostTolerance = 0.9;

/// How far off a fixture may be in a narrow type. Where tokens merge, rounded keys choose other
/// pairs, and features of other pairs are not comparable: then the fixture says how far off its
/// reference itself is in bfloat16. Twice that is allowed, but less than what all zeros would be
/// off.
double narrow_tolerance(const Json& about) {
  double own = 0;
  if (const Json* errors = about.find("bfloat16_errors")) {
    for (const auto& [output, error] : errors->as_object()) own = std::max(own, error.as_double());
  }
  return std::max(kNarrowTolerance, std::min(2 * own, kMostTolerance));
}

/// How many of the greedy ids must be the reference's: in less than float32, those before the first
/// whose lead over the next best is within what the type loses.
int64_t ids_that_count(const Outputs& outputs, const Verdict& verdict, double largest_logit) {
  const auto margins = outputs.find("greedy_margins");
  if (margins == outputs.end()) return 0;
  const at::Tensor leads = margins->second.flatten();
  for (int64_t i = 0; i < leads.numel(); ++i) {
    if (leads[i].item<double>() <= 2 * verdict.error * largest_logit) return i;
  }
  return leads.numel();
}

/// Adds one output to the verdict. Integers, as greedy ids, must be equal.
void compare(const std::string& name, const at::Tensor& got, const at::Tensor& expected,
             Verdict& verdict) {
  if (!got.defined() || got.sizes() != expected.sizes()) {
    verdict.reason = name + ": expected " + shape_text(expected.sizes()) + ", got " +
                     (got.defined() ? shape_text(got.sizes()) : "nothing");
    return;
  }
  const at::Tensor a = got.to(at::kCPU, at::kDouble);
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

Verdict check_tensors(const std::string& folder, const Json& about, const Placement& placement) {
  Verdict verdict;
  const bool narrow = placement.dtype != at::kFloat;
  verdict.tolerance = narrow ? narrow_tolerance(about) : about.at("tolerance").as_double();
  const std::string family = about.at("family").as_string();
  const auto known = families().find(family);
  if (known == families().end()) {
    verdict.reason = "family " + family + " is not known here";
    return verdict;
  }
  const Fixture fixture{folder + "/model", open_safetensors(folder + "/inputs.safetensors"),
                        placement};
  const TensorStorePtr expected = open_safetensors(folder + "/expected.safetensors");
  const Outputs outputs = known->second(fixture);
  double largest_logit = 0;
  for (const auto& [name, shape] : about.at("outputs").as_object()) {
    const auto found = outputs.find(name);
    at::Tensor got = found == outputs.end() ? at::Tensor() : found->second;
    at::Tensor wanted = std::get<at::Tensor>(expected->get(name));
    if (name == "logits") largest_logit = wanted.abs().max().item<double>();
    if (name == "greedy_ids" && narrow && got.defined()) {  // listed behind the logits
      const int64_t count = ids_that_count(outputs, verdict, largest_logit);
      got = got.slice(1, 0, count);
      wanted = wanted.slice(1, 0, count);
    }
    compare(name, got, wanted, verdict);
    if (!verdict.reason.empty()) break;
  }
  return verdict;
}

bool report(const std::string& folder, const Placement& placement) {
  const std::string name = std::filesystem::path(folder).lexically_normal().filename().string();
  Verdict verdict;
  try {
    const Json about = read_json_file(folder + "/about.json");
    const bool tokenizer = about.at("family").as_string() == "tokenizer";
    verdict = tokenizer ? check_tokenizer(folder) : check_tensors(folder, about, placement);
  } catch (const Error& problem) {
    verdict.reason = problem.what();
  } catch (const c10::Error& problem) {  // one fixture must not hide the others
    const std::string text = problem.what_without_backtrace();
    verdict.reason = text.substr(0, text.find('\n'));
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
  auto device = std::make_shared<std::string>("cpu");
  auto dtype = std::make_shared<std::string>("float32");
  CLI::App* command =
      program.add_subcommand("parity", "Compare with fixtures of the reference implementations");
  command->add_option("FOLDER", *folders, "fixtures, as the reference scripts write them")
      ->required();
  command->add_option("--device", *device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--dtype", *dtype, "float32, bfloat16, float16 or auto")
      ->capture_default_str();
  command->callback([folders, device, dtype] {
    const Placement placement = parse_placement(*device, *dtype);
    // As the reference computes: products of float32 are not rounded to fewer bits.
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowTF32CuDNN(false);
    bool all = true;
    for (std::string folder : *folders) {
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
      all = report(folder, placement) && all;
    }
    if (!all) throw CLI::RuntimeError(1);
  });
}

}  // namespace lv::apps
