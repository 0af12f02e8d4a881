#include "audio/transcribe/token_rules.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/audio/transcribe/support.h"
#include "tests/support/close_to.h"

namespace lv::audio {
namespace {

// The ids that the rules leave after `said`, from logits that are 0 for text and end, and far below
// for timestamps, so that no timestamp is likely.
std::vector<int64_t> allowed(std::vector<int64_t> said) {
  const Vocabulary vocabulary = small_vocabulary();
  const TokenRules rules(vocabulary, {{1, 5, 14}, {0, 4}}, 0.04);
  const at::Tensor logits = at::zeros({vocabulary.size()});
  logits.slice(0, vocabulary.first_timestamp()).fill_(-50);
  rules.apply(logits, said);
  std::vector<int64_t> ids;
  for (int64_t id = 0; id < vocabulary.size(); ++id) {
    if (std::isfinite(logits[id].item<float>())) ids.push_back(id);
  }
  return ids;
}

std::vector<int64_t> times_from(int64_t hundredths) {
  std::vector<int64_t> ids;
  for (int64_t id = at_time(hundredths); id < 115; ++id) ids.push_back(id);
  return ids;
}

const std::vector<int64_t> kText = {0, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13};

std::vector<int64_t> joined(std::vector<int64_t> a, const std::vector<int64_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("a transcript starts with an early timestamp") {
  CHECK(allowed({}) == std::vector<int64_t>{at_time(0), at_time(2), at_time(4)});
}

TEST_CASE("text follows the opening timestamp") {
  CHECK(allowed({at_time(2)}) == kText);
  CHECK(allowed({at_time(2), 0, at_time(4), at_time(4)}) == kText);
}

TEST_CASE("a closing timestamp is later than its opening one") {
  CHECK(allowed({at_time(2), 0}) == joined(kText, times_from(4)));
}

TEST_CASE("the end or an opening timestamp follows a closing one") {
  CHECK(allowed({at_time(2), 0, at_time(6)}) ==
        joined({4, 6, 7, 8, 9, 10, 11, 12, 13}, times_from(6)));
}

TEST_CASE("a timestamp is said when all of them together beat every text token") {
  const Vocabulary vocabulary = small_vocabulary();
  const TokenRules rules(vocabulary, {}, 1);
  const std::vector<int64_t> said = {at_time(0), 0};
  const at::Tensor logits = at::zeros({115});
  logits[0] = 4.5;  // less than log(99), the sum of the 99 that are left
  rules.apply(logits, said);
  CHECK_FALSE(std::isfinite(logits[0].item<float>()));
  logits.zero_();
  logits[0] = 4.7;
  rules.apply(logits, said);
  CHECK(logits[0].item<float>() == 4.7f);
}

TEST_CASE("the ids to suppress come from the folder, and special tokens are added") {
  const Vocabulary vocabulary = small_vocabulary();
  const TemporaryFolder folder;
  const Json config =
      parse_json(R"({"suppress_tokens": [2, -1], "begin_suppress_tokens": [0]})", "config.json");
  SuppressedTokens got = read_suppressed_tokens(folder.path(), config, vocabulary);
  CHECK(got.always == std::vector<int64_t>{2, 5, 8, 9, 10, 11, 12, 14});
  CHECK(got.at_start == std::vector<int64_t>{0});
  write_file(folder / "generation_config.json", R"({"suppress_tokens": null})");
  got = read_suppressed_tokens(folder.path(), config, vocabulary);
  CHECK(got.always == std::vector<int64_t>{5, 8, 9, 10, 11, 12, 14});
  write_file(folder / "generation_config.json", R"({"suppress_tokens": [115]})");
  CHECK_THROWS_WITH(read_suppressed_tokens(folder.path(), config, vocabulary),
                    "suppress_tokens: expected ids below 115, got 115");
}

}  // namespace lv::audio
