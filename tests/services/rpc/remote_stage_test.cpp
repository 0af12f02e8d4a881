#include <ATen/ATen.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/rpc/remote_stages.h"
#include "services/rpc/server.h"
#include "tests/services/rpc/small_stages.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kDeadline{20'000};

std::unique_ptr<Server> serve_all(const Stages& stages, const std::string& address = "",
                                  ServingLimits limits = {}) {
  auto gate = std::make_shared<CallGate>(limits);
  return std::make_unique<Server>(address, stage_services(stages, {"all"}, gate));
}

Stages over(const Server& server, milliseconds deadline = kDeadline) {
  Stages stages;
  for (const std::string& name : stage_names()) {
    use_remote_stage(stages, name, server.in_process_channel(), "near", deadline);
  }
  return stages;
}

/// What the stages make of two files, as text.
std::string story_of(const Stages& stages) {
  std::vector<MediaRequest> files{file_of("\1\2\3\4\5"), file_of("\6\7")};
  const auto encode = stages.encode({});
  auto tokens = encode->start(stages.decode_video->start(source_of(files)));
  std::vector<at::Tensor> features, times;
  while (const auto part = tokens->next()) {
    features.push_back(part->features);
    times.push_back(part->origin.pts_seconds);
  }
  ClipTokens clip;
  clip.visual.features = at::cat(features);
  clip.visual.offsets = at::tensor({0, 7}, at::kInt);
  clip.visual.grids = {{1, 7}};
  clip.visual.origin = {at::cat(times), at::zeros({7}, at::kInt), at::ones({7, 4}),
                        at::ones({7}, at::kByte), at::zeros({7, 2}, at::kInt)};
  const auto compress = stages.compress({{"every", {{"step", "3"}}}});
  const auto context = compress->start(source_of_one(clip))->next();
  const auto& kept = std::get<CompressedTokens>(*context);
  auto heard = stages.listen->start(stages.decode_audio->start(source_of(files)));
  std::string text = heard->next()->speech.at(0).text;
  CHECK_FALSE(heard->next());
  for (int64_t i = 0; i < kept.embeddings.size(0); ++i) {
    text += " " + std::to_string(kept.embeddings[i].item<float>()) + "@" +
            std::to_string(kept.origin.pts_seconds[i].item<double>());
  }
  std::string told;
  auto deltas = stages.generate->start(source_of_one(prompt_of(text)));
  while (const auto delta = deltas->next()) {
    told += delta->text + (delta->last ? ". " + std::to_string(delta->generated_tokens) : " ");
  }
  return told;
}

template <class Function>
Error error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return {ErrorCode::kUnknown, ""};
}

template <class Predicate>
bool soon(const Predicate& holds, milliseconds limit) {
  for (const auto end = steady_clock::now() + limit; steady_clock::now() < end;) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return holds();
}

TEST_CASE("remote stages tell the same story as local ones, in process") {
  const auto server = serve_all(small_stages());
  const std::string local = story_of(small_stages());
  CHECK(local == "7 samples 2.000000@0.000000 8.000000@3.000000 14.000000@1.000000. 5");
  CHECK(story_of(over(*server)) == local);
}

TEST_CASE("five servers on loopback tell the same story as one process") {
  const auto gate = std::make_shared<CallGate>();
  std::vector<std::unique_ptr<Server>> servers;
  std::map<std::string, std::string> addresses;
  for (const std::string& name : stage_names()) {
    servers.push_back(
        std::make_unique<Server>("127.0.0.1:0", stage_services(small_stages(), {name}, gate)));
    addresses[name] = servers.back()->address();
  }
  Stages stages;
  use_remote_stages(stages, addresses, kDeadline);
  CHECK(story_of(stages) == story_of(small_stages()));
}

TEST_CASE("an encoder gets the plan of its call, near or far") {
  const auto server = serve_all(small_stages());
  const std::vector<CompressionSpec> plan{{"every", {{"times", "3"}}}};
  for (const Stages& stages : {small_stages(), over(*server)}) {
    const auto encode = stages.encode(plan);
    const auto tokens = encode->start(source_of_one(grey_frames(1, 2, 2, 7)))->next();
    CHECK(tokens->features.item<float>() == 21);
  }
}

TEST_CASE("a path is read where the client is") {
  const TemporaryFolder folder;
  write_file(folder / "film", "\x10\x20");
  MediaRequest request;
  request.media = folder / "film";
  const auto server = serve_all(small_stages());
  const Stages stages = over(*server);
  const auto batches = collect(*stages.decode_video->start(source_of_one(request)));
  REQUIRE(batches.size() == 2);
  CHECK(batches[1].pixels[0][0][0][0].item<int>() == 32);

  request.media = folder / "absent";
  auto source = stages.decode_video->start(source_of_one(request));
  CHECK(error_of([&] { source->next(); }).code() == ErrorCode::kNotFound);
}

TEST_CASE("an error of a far stage comes after the values before it, as it is") {
  const auto server = serve_all(small_stages());
  const Stages local = small_stages();
  const Stages remote = over(*server);
  for (const Stages* stages : {&local, &remote}) {
    auto source = stages->decode_video->start(source_of_one(file_of("ab!c")));
    CHECK(source->next());
    CHECK(source->next());
    const Error error = error_of([&] { source->next(); });
    CHECK(error.code() == ErrorCode::kDataLoss);
    CHECK(std::string(error.what()) == "film: broken at byte 2");
  }
}

TEST_CASE("an exception of the input comes out after the values before it") {
  class Failing : public Source<FrameBatch> {
   public:
    std::optional<FrameBatch> next() override {
      if (++count_ < 3) return grey_frames(1, 2, 2, 1);
      throw Error(ErrorCode::kDataLoss, "input: broken");
    }

   private:
    int count_ = 0;
  };
  const auto server = serve_all(small_stages());
  auto source = over(*server).encode({})->start(std::make_unique<Failing>());
  CHECK(source->next());
  CHECK(source->next());
  CHECK(std::string(error_of([&] { source->next(); }).what()) == "input: broken");
}

TEST_CASE("an unknown compressor is told by the far stage") {
  const auto server = serve_all(small_stages());
  const auto stage = over(*server).compress({{"none such", {}}});
  auto source = stage->start(source_of(std::vector<ClipTokens>{}));
  CHECK(error_of([&] { source->next(); }).code() == ErrorCode::kNotFound);
}

TEST_CASE("nothing is sent before the first pull, and an unused call does not block") {
  class Noting : public Source<FrameBatch> {
   public:
    explicit Noting(bool& pulled) : pulled_(pulled) {}
    std::optional<FrameBatch> next() override {
      pulled_ = true;
      return std::nullopt;
    }

   private:
    bool& pulled_;
  };
  const auto server = serve_all(small_stages());
  const Stages stages = over(*server);
  bool pulled = false;
  { const auto source = stages.encode({})->start(std::make_unique<Noting>(pulled)); }
  CHECK_FALSE(pulled);
  const auto source = stages.encode({})->start(std::make_unique<Noting>(pulled));
  CHECK_FALSE(source->next());
  CHECK_FALSE(source->next());
  CHECK(pulled);
}

TEST_CASE("destroying a remote source destroys the far one within 200 ms") {
  const auto observed = std::make_shared<Observed>();
  Stages slow = small_stages();
  slow.decode_video = endless_video(observed, milliseconds(20));
  const std::string address = GENERATE("", "127.0.0.1:0");
  const auto server = serve_all(slow, address);
  Stages stages;
  if (address.empty()) {
    stages = over(*server);
  } else {
    use_remote_stages(stages, {{"decode", server->address()}}, kDeadline);
  }
  auto source = stages.decode_video->start(source_of_one(file_of("x")));
  REQUIRE(source->next());
  const auto start = steady_clock::now();
  source.reset();
  CHECK(soon([&] { return observed->alive == 0; }, milliseconds(2000)));
  const auto end = steady_clock::time_point(steady_clock::duration(observed->destroyed_at_ns));
  CHECK(end - start < milliseconds(200));
}

/// Decodes nothing: its one pull ends when the request is cancelled.
class UntilCancelled : public MapStage<MediaRequest, FrameBatch> {
 public:
  FrameBatch map(MediaRequest) const override {
    ++running;
    const auto wanted = Cancellation::current();
    const bool ended = soon([&] { return wanted.requested(); }, milliseconds(5000));
    --running;
    throw Error(ended ? ErrorCode::kCancelled : ErrorCode::kInternal, "ended");
  }
  mutable std::atomic<int> running{0};
};

TEST_CASE("a cancelled request stops the far stage within one pull") {
  const auto stage = std::make_shared<UntilCancelled>();
  Stages waiting = small_stages();
  waiting.decode_video = stage;
  const auto server = serve_all(waiting);
  const Stages stages = over(*server);
  std::atomic<bool> cancelled{false};
  const CancelScope scope(Cancellation().with([&] { return cancelled.load(); }));
  auto source = stages.decode_video->start(source_of_one(file_of("x")));
  auto code =
      std::async(std::launch::async, [&] { return error_of([&] { source->next(); }).code(); });
  REQUIRE(soon([&] { return stage->running == 1; }, milliseconds(2000)));
  const auto start = steady_clock::now();
  cancelled = true;
  CHECK(code.get() == ErrorCode::kCancelled);
  CHECK(soon([&] { return stage->running == 0; }, milliseconds(2000)));
  CHECK(steady_clock::now() - start < milliseconds(200));
}

TEST_CASE("a call that takes too long fails at its deadline and stops the far stage") {
  const auto observed = std::make_shared<Observed>();
  Stages slow = small_stages();
  slow.decode_video = endless_video(observed, milliseconds(20));
  const auto server = serve_all(slow);
  const auto start = steady_clock::now();
  auto source = over(*server, milliseconds(300)).decode_video->start(source_of_one(file_of("x")));
  const Error error = error_of([&] { collect(*source); });
  CHECK(error.code() == ErrorCode::kDeadlineExceeded);
  CHECK(std::string(error.what()) == "decode at near: no end within the deadline of 300 ms");
  CHECK(steady_clock::now() - start < milliseconds(500));
  CHECK(soon([&] { return observed->alive == 0; }, milliseconds(200)));
}

TEST_CASE("frames of more than 4 MiB pass") {
  const auto server = serve_all(small_stages(), "127.0.0.1:0");
  Stages stages;
  use_remote_stages(stages, {{"encode", server->address()}}, kDeadline);
  auto source = stages.encode({})->start(source_of_one(grey_frames(24, 336, 336, 9)));
  CHECK_THAT(source->next()->features, CloseTo(at::full({24, 1}, 18.0f)));
}

TEST_CASE("a message that is too large is refused before it is sent", "[.slow]") {
  const auto server = serve_all(small_stages());
  auto source = over(*server).encode({})->start(source_of_one(grey_frames(46, 1408, 1408, 0)));
  const Error error = error_of([&] { source->next(); });
  CHECK(error.code() == ErrorCode::kResourceExhausted);
  CHECK_THAT(error.what(),
             Catch::StartsWith("longview.v1.EncodeRequest: expected at most 268435456"));
}

TEST_CASE("a server's ceilings win") {
  ServingLimits limits;
  limits.max_generated_tokens = 2;
  limits.media.max_bytes = 3;
  const auto server = serve_all(small_stages(), "", limits);
  const Stages stages = over(*server);
  CHECK(collect(*stages.generate->start(source_of_one(prompt_of("a b c d")))).size() == 2);
  auto source = stages.decode_video->start(source_of_one(file_of("four")));
  const Error error = error_of([&] { source->next(); });
  CHECK(error.code() == ErrorCode::kResourceExhausted);
  CHECK(std::string(error.what()) == "film: expected at most 3 bytes, got 4 or more");
}

TEST_CASE("calls over the limit are refused, and taken again when there is room") {
  const auto observed = std::make_shared<Observed>();
  Stages slow = small_stages();
  slow.decode_video = endless_video(observed, milliseconds(5));
  ServingLimits limits;
  limits.max_calls = 1;
  const auto server = serve_all(slow, "", limits);
  const Stages stages = over(*server);
  auto first = stages.decode_video->start(source_of_one(file_of("x")));
  REQUIRE(first->next());
  auto second = stages.encode({})->start(source_of_one(grey_frames(1, 2, 2, 1)));
  CHECK(error_of([&] { second->next(); }).code() == ErrorCode::kResourceExhausted);
  first.reset();
  REQUIRE(soon([&] { return observed->alive == 0; }, milliseconds(2000)));
  std::this_thread::sleep_for(milliseconds(20));  // the pass goes after the source
  auto third = stages.encode({})->start(source_of_one(grey_frames(1, 2, 2, 1)));
  CHECK(third->next());
}

TEST_CASE("errors of the way name the stage and its address") {
  const auto gate = std::make_shared<CallGate>();
  auto server =
      std::make_unique<Server>("127.0.0.1:0", stage_services(small_stages(), {"listen"}, gate));
  const std::string address = server->address();
  Stages stages;
  use_remote_stages(stages, {{"encode", address}}, milliseconds(5000));
  auto source = stages.encode({})->start(source_of_one(grey_frames(1, 2, 2, 1)));
  const Error not_served = error_of([&] { source->next(); });
  CHECK(not_served.code() == ErrorCode::kUnimplemented);
  CHECK_THAT(not_served.what(), Catch::StartsWith("encode at " + address + ": "));

  server.reset();
  source = stages.encode({})->start(source_of_one(grey_frames(1, 2, 2, 1)));
  const Error gone = error_of([&] { source->next(); });
  CHECK(gone.code() == ErrorCode::kUnavailable);
  CHECK_THAT(gone.what(), Catch::StartsWith("encode at " + address + ": "));
}

}  // namespace
}  // namespace lv::services
