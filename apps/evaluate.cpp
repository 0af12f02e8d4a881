#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/progress.h"
#include "pipeline/base/error.h"
#include "services/models/models.h"
#include "services/models/recipe.h"
#include "services/tasks/examiner.h"
#include "services/tasks/result.h"

namespace lv::apps {
namespace {

constexpr int64_t kFirstSeed = 1'000'000;  // those before it train

struct EvaluateFlags {
  int64_t seed = kFirstSeed;
  int64_t items = 12;
  int64_t questions = 4;
  std::vector<std::string> tasks = {"driving", "photos", "pages"};
  std::vector<std::string> views = {"1", "1", "6"};
  std::vector<double> keeps = {1, 0.5, 0.25, 0.1};
  std::string weights;
  std::string assets = services::recipe_assets();
  std::string out;
  bool json = false;
};

/// Where items and answers lie: where the user wants them, else until this goes.
class Folder {
 public:
  explicit Folder(const std::string& wanted) : path_(wanted), kept_(!wanted.empty()) {
    if (kept_) {
      std::filesystem::create_directories(path_);
      return;
    }
    std::string made = (std::filesystem::temp_directory_path() / "longview-XXXXXX").string();
    check(::mkdtemp(made.data()) != nullptr, ErrorCode::kResourceExhausted,
          made + ": cannot be made");
    path_ = made;
  }
  ~Folder() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// Absolute, as programs in other folders need it.
  std::string at(const std::string& name = "") const {
    return (std::filesystem::absolute(path_) / name).string();
  }

 private:
  std::filesystem::path path_;
  bool kept_;
};

std::vector<services::DrawnItem> drawn(const EvaluateFlags& flags, const Folder& folder) {
  std::vector<std::string> words = {"draw",
                                    "--assets",
                                    std::filesystem::absolute(flags.assets).string(),
                                    "--seed",
                                    std::to_string(flags.seed),
                                    "--items",
                                    std::to_string(flags.items),
                                    "--questions",
                                    std::to_string(flags.questions),
                                    "--out",
                                    folder.at(),
                                    "--tasks"};
  words.insert(words.end(), flags.tasks.begin(), flags.tasks.end());
  words.emplace_back("--views");
  words.insert(words.end(), flags.views.begin(), flags.views.end());
  services::run_recipe(words);
  std::vector<services::DrawnItem> items;
  std::ifstream file(folder.at("items.jsonl"));
  for (std::string line; std::getline(file, line);) {
    items.push_back(services::drawn_item(parse_json(line, "items.jsonl"), folder.at()));
  }
  return items;
}

/// Writes an answer a line, and says how many seconds an item of each task took.
Json answered(const EvaluateFlags& flags, const std::vector<services::DrawnItem>& items,
              const std::string& path, int64_t& answers) {
  services::WorkplaceOptions options;
  options.eyes = flags.weights;
  options.stages = {"decode", "encode", "compress", "generate"};
  double load_ms = 0;
  services::Workplace workplace = services::open_workplace(options, load_ms);
  check(workplace.stages.films.pictures_first, ErrorCode::kFailedPrecondition,
        "evaluate: expected nano's trained eyes in models/nano/nano.safetensors, got none");
  const services::Examiner examiner(std::move(workplace.stages), workplace.model);
  std::ofstream file(path);
  std::map<std::string, std::pair<double, int64_t>> seconds;  // with how many items
  Progress progress;
  for (size_t i = 0; i < items.size(); ++i) {
    progress.show("answer", static_cast<double>(i) / static_cast<double>(items.size()));
    const auto begin = std::chrono::steady_clock::now();
    for (const Json& line : examiner.answers(items[i], flags.keeps)) {
      file << line.dump() << "\n";
      ++answers;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    auto& [total, count] = seconds[items[i].task];
    total += took.count();
    ++count;
  }
  progress.clear();
  check(file.flush().good(), ErrorCode::kResourceExhausted, path + ": cannot be written");
  Json each;
  for (const auto& [task, sum] : seconds) {
    each.set(task, std::round(100 * sum.first / static_cast<double>(sum.second)) / 100);
  }
  return each;
}

/// "0.84 (0.71 to 0.93)"; a dash where nothing was scored.
std::string score_text(const Json& score) {
  if (score.at("value").is_null()) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.2f (%.2f to %.2f)", score.at("value").as_double(),
                score.at("low").as_double(), score.at("high").as_double());
  return text;
}

void print(const Json& result) {
  const Json::Object& scores = result.at("scores").as_object();
  std::printf("%-34s %6s", "score (95 % interval)", "items");
  for (const auto& [keep, unused] : scores) std::printf("  %-20s", ("keep " + keep).c_str());
  std::printf("\n");
  for (const auto& [name, score] : scores.front().second.as_object()) {
    std::printf("%-34s %6lld", name.c_str(), static_cast<long long>(score.at("n").as_int()));
    for (const auto& [keep, all] : scores) std::printf("  %-20s", score_text(all.at(name)).c_str());
    std::printf("\n");
  }
  std::printf(
      "\nseed %lld, %lld items of each part with at most %lld questions besides caption "
      "and assessment, %lld answers\n",
      static_cast<long long>(result.at("seed").as_int()),
      static_cast<long long>(result.at("items").as_int()),
      static_cast<long long>(result.at("questions").as_int()),
      static_cast<long long>(result.at("answers").as_int()));
  std::printf("seconds an item, all questions at each keep:");
  for (const auto& [task, seconds] : result.at("seconds_per_item").as_object()) {
    std::printf(" %s %.2f", task.c_str(), seconds.as_double());
  }
  std::printf("\npeak memory %.2f GB\n",
              static_cast<double>(result.at("peak_memory_bytes").as_int()) / 1e9);
}

void run(const EvaluateFlags& flags) {
  const Folder folder(flags.out);
  const std::vector<services::DrawnItem> items = drawn(flags, folder);
  const std::string predictions = folder.at("predictions.jsonl");
  Json result;
  result.set("seed", flags.seed);
  result.set("items", flags.items);
  result.set("questions", flags.questions);
  int64_t answers = 0;
  Json seconds = answered(flags, items, predictions, answers);
  result.set("answers", answers);
  result.set("scores", parse_json(services::run_recipe({"score", predictions}), "recipe score"));
  result.set("seconds_per_item", std::move(seconds));
  result.set("peak_memory_bytes", services::peak_memory_bytes());
  if (flags.json) {
    std::cout << result.dump() << "\n";
  } else {
    print(result);
  }
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* evaluate =
      program.add_subcommand("evaluate", "Score a model on data that it was never trained on");
  evaluate->require_subcommand(1);
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* nano = evaluate->add_subcommand(
      "nano", "The default model on items that models/nano/recipe draws, with intervals");
  nano->add_option("--seed", flags->seed, "of the first item; those before 1000000 train")
      ->check(CLI::Range(kFirstSeed, int64_t{1} << 40))
      ->capture_default_str();
  nano->add_option("--items", flags->items,
                   "of each part: driving, photographs, those held out, pages")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  nano->add_option("--questions", flags->questions,
                   "of each item at most, besides its caption and assessment")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  nano->add_option("--tasks", flags->tasks, "the parts")
      ->delimiter(',')
      ->check(CLI::IsMember({"driving", "photos", "pages"}));
  nano->add_option("--views", flags->views, "cameras of driving items, in turn; 1,1,6 without")
      ->delimiter(',')
      ->check(CLI::IsMember({"1", "2", "3", "6"}));
  nano->add_option("--keep", flags->keeps, "shares of visual tokens")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1.0));
  nano->add_option("--weights", flags->weights,
                   "a file that the recipe trained, instead of models/nano/nano.safetensors");
  nano->add_option("--assets", flags->assets, "the folder that `python3 -m recipe prepare` makes");
  nano->add_option("--out", flags->out, "a folder that keeps items and answers");
  nano->add_flag("--json", flags->json, "print one JSON object");
  nano->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
