#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "llm/plan/layer_plan.h"
#include "tests/support/close_to.h"

// What every plan has to hold, whatever it does with keys and values.

namespace lv::llm {
namespace {

struct Method {
  const char* name;
  const char* plan;
  const char* nothing;  // the same, set so that it changes nothing
  double tolerance;     // of logits after a prompt was settled, in parts of the largest
};

const std::vector<Method> kMethods{
    {"window", R"({"layers": [{"span": {"kind": "window", "size": 9, "sinks": 2}}]})",
     R"({"layers": [{"span": {"kind": "window", "size": 64}}]})", 1e-4},
    {"prefixkv", R"({"retain": {"kind": "prefixkv", "keep": 0.95, "window": 8}})",
     R"({"retain": {"kind": "prefixkv", "keep": 1}})", 0.5},  // random weights need every token
    {"kivi", R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 8}}]})",
     R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 64}}]})", 0.2},
    {"kivi, 2 bits, one layer",
     R"({"layers": [{}, {"kv": {"format": "kivi", "bits": 2, "group": 8, "residual": 0}}]})",
     R"({"layers": [{}, {"kv": {"format": "kivi", "bits": 2, "group": 8}}]})", 0.5},
    {"prefixkv and kivi",
     R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 8}}],
         "retain": {"kind": "prefixkv", "keep": 0.95, "window": 8}})",
     R"({"layers": [{"kv": {"format": "kivi", "group": 8}}],
         "retain": {"kind": "prefixkv", "keep": 1}})",
     0.6},
};

std::shared_ptr<const CausalLm> model_of(const char* plan) {
  return make_model(open_checkpoint(data("tests/data/llm/tiny_llama")),
                    parse_plan(parse_json(plan, "plan")));
}

at::Tensor ids_of(int64_t count, int64_t factor) {
  return (at::arange(count, at::kLong) * factor) % 60 + 3;
}

/// Sequences of one model and their memory, read as the engine does.
class Reader {
 public:
  explicit Reader(std::shared_ptr<const CausalLm> model)
      : model_(std::move(model)), kv_(model_->shape().kv()) {}

  size_t begin() {
    sequences_.push_back(kv_.create());
    lengths_.push_back(0);
    const int64_t rows = model_->shape().tapped_rows;
    if (rows > 0) taps_.open(sequences_.back(), rows);
    return sequences_.size() - 1;
  }

  /// Logits of the ids that each sequence reads in one step, one after another.
  at::Tensor read(const std::vector<std::pair<size_t, at::Tensor>>& pieces, bool prompt_read) {
    std::vector<SequenceStep> steps;
    for (const auto& [s, ids] : pieces) {
      steps.push_back({sequences_[s], model_->embed(ids), lengths_[s], 64});
      lengths_[s] += ids.size(0);
    }
    const Memory memory{kv_, states_, &taps_};
    const at::Tensor hidden = model_->forward(pack(steps), memory);
    for (const SequenceStep& step : steps) model_->settle(step.sequence, 64, memory, prompt_read);
    return model_->logits(hidden);
  }

  /// A prompt in pieces of `step` rows, then one id after another: all their logits.
  at::Tensor read_all(size_t s, const at::Tensor& prompt, const at::Tensor& answer, int64_t step) {
    std::vector<at::Tensor> logits;
    for (int64_t at = 0; at < prompt.size(0); at += step) {
      const int64_t end = std::min(at + step, prompt.size(0));
      logits.push_back(read({{s, prompt.slice(0, at, end)}}, end == prompt.size(0)));
    }
    for (int64_t i = 0; i < answer.size(0); ++i) {
      logits.push_back(read({{s, answer.slice(0, i, i + 1)}}, true));
    }
    return at::cat(logits);
  }

  int64_t bytes() const { return kv_.bytes(); }

 private:
  std::shared_ptr<const CausalLm> model_;
  KvStore kv_;
  StateStore states_;
  QueryTaps taps_;
  std::vector<SequenceId> sequences_;
  std::vector<int64_t> lengths_;
};

at::Tensor logits_of(const char* plan, int64_t step) {
  Reader reader(model_of(plan));
  return reader.read_all(reader.begin(), ids_of(40, 7), ids_of(12, 11), step);
}

double largest_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("plans set to change nothing give the dense model's bits") {
  for (const Method& method : kMethods) {
    CAPTURE(method.name);
    CHECK(at::equal(logits_of(method.nothing, 40), logits_of("{}", 40)));
  }
}

TEST_CASE("plans read a prompt and then an answer as they read both at once") {
  for (const Method& method : kMethods) {
    CAPTURE(method.name);
    Reader at_once(model_of(method.plan));
    const at::Tensor ids = at::cat({ids_of(40, 7), ids_of(12, 11)});
    const at::Tensor expected = at_once.read({{at_once.begin(), ids}}, false);
    const at::Tensor found = logits_of(method.plan, 40);
    CHECK(largest_error(found.slice(0, 0, 40), expected.slice(0, 0, 40)) < 1e-5);
    const double error = largest_error(found.slice(0, 40), expected.slice(0, 40));
    CHECK(error < method.tolerance);
    if (method.tolerance > 1e-3) CHECK(error > 1e-5);  // something was done at all
  }
}

TEST_CASE("plans do not depend on the steps that a prompt is read in") {
  const int64_t step = GENERATE(1, 3, 16, 39);
  for (const Method& method : kMethods) {
    CAPTURE(method.name, step);
    // Where a number lies between two codes, the last bit of a float decides.
    const bool coded = std::string(method.name).find("kivi") != std::string::npos;
    CHECK(largest_error(logits_of(method.plan, step), logits_of(method.plan, 40)) <
          (coded ? 1e-2 : 1e-5));
  }
}

TEST_CASE("plans treat a sequence among others as alone") {
  for (const Method& method : kMethods) {
    CAPTURE(method.name);
    Reader alone(model_of(method.plan));
    const at::Tensor first = alone.read_all(alone.begin(), ids_of(30, 7), ids_of(5, 11), 30);
    const at::Tensor second = alone.read_all(alone.begin(), ids_of(21, 5), ids_of(5, 13), 21);
    Reader together(model_of(method.plan));
    const size_t a = together.begin();
    const size_t b = together.begin();
    const at::Tensor prompts = together.read({{a, ids_of(30, 7)}, {b, ids_of(21, 5)}}, true);
    CHECK(largest_error(prompts, at::cat({first.slice(0, 0, 30), second.slice(0, 0, 21)})) < 1e-5);
    for (int64_t i = 0; i < 5; ++i) {
      const at::Tensor both = together.read(
          {{a, ids_of(5, 11).slice(0, i, i + 1)}, {b, ids_of(5, 13).slice(0, i, i + 1)}}, true);
      CHECK(largest_error(both, at::stack({first[30 + i], second[21 + i]})) < 1e-5);
    }
  }
}

TEST_CASE("plans hold as little of a prompt as they say") {
  const auto bytes = [](const char* plan) {
    Reader reader(model_of(plan));
    reader.read_all(reader.begin(), ids_of(480, 7), ids_of(0, 1), 128);
    return reader.bytes();
  };
  const int64_t dense = bytes("{}");
  CHECK(dense == 480 * model_of("{}")->shape().kv().token_bytes());
  const int64_t pages = 16 * 2 * 2 * 16 * 4;  // 16 tokens of two layers, keys and values
  CHECK(bytes(R"({"retain": {"kind": "prefixkv", "keep": 0.25, "window": 16}})") <=
        dense / 4 + pages);
  // Four bits, and as many again for scales of groups so small; a residual of 16 to 31.
  CHECK(bytes(R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 16}}]})") <=
        dense / 4 + 2 * pages);
}

TEST_CASE("plans are refused where methods exclude each other") {
  const auto refuses = [](const char* plan, const char* named) {
    CHECK_THROWS_WITH(model_of(plan), Catch::Contains(named));
  };
  refuses(R"({"layers": [{"span": {"kind": "window", "size": 9}}],
              "retain": {"kind": "prefixkv", "keep": 0.5}})",
          "layer 0 has a window, which does not go with retain");
  refuses(R"({"layers": [{}, {"span": {"kind": "window", "size": 9},
                              "kv": {"format": "kivi", "group": 8}}]})",
          "layer 1 has a window, which does not go with kivi");
  refuses(R"({"layers": [{"kv": {"format": "kivi"}}]})", "expected a divisor of a head's 8");
  refuses(R"({"layers": [{"kv": {"format": "kivi", "group": 8}},
                         {"kv": {"format": "kivi", "group": 8, "bits": 2}}]})",
          "layer 1: expected the same kivi settings");
  refuses(R"({"retain": {"kind": "prefixkv", "ratios": [0.5]}})", "expected one for each of 2");
}

}  // namespace lv::llm
