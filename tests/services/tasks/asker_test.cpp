#include "services/tasks/asker.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/rpc/server.h"
#include "services/tasks/ask_service.h"
#include "services/tasks/evidence.h"
#include "tests/support/is_error.h"
#include "tests/support/pdf_bytes.h"
#include "vision/compressors/compressors.h"

namespace lv::services {
namespace {

class NoPictures : public MapStage<MediaRequest, FrameBatch> {
 public:
  FrameBatch map(MediaRequest request) const override {
    throw Error(ErrorCode::kNotFound, request.name + ": no video stream");
  }
};

/// One token a picture: what it was given is remembered.
class Seeing : public MapStage<FrameBatch, VisualTokens> {
 public:
  VisualTokens map(FrameBatch batch) const override {
    seen.push_back(batch);
    VisualTokens tokens;
    tokens.features = at::ones({1, 1});
    tokens.offsets = at::arange(2, at::kInt);
    tokens.grids = {{1, 1}};
    tokens.origin = {batch.pts_seconds, at::full({1}, batch.source, at::kInt), at::ones({1, 4}),
                     at::full({1}, kObserved, at::kByte), at::zeros({1, 2}, at::kInt)};
    return tokens;
  }

  mutable std::vector<FrameBatch> seen;
};

/// Says what it was told to say, and remembers what it was asked; a token is "#".
class Saying : public MapStage<Prompt, TextDelta> {
 public:
  explicit Saying(std::string answer) : answer_(std::move(answer)) {}

  TextDelta map(Prompt prompt) const override {
    std::string text;
    for (const PromptPart& part : prompt.messages.at(0).parts) {
      const auto* words = std::get_if<std::string>(&part);
      text += words != nullptr ? *words : "#";
    }
    asked.push_back(text);
    return {0, answer_, true, FinishReason::kStop, 1, 1};
  }

  mutable std::vector<std::string> asked;

 private:
  const std::string answer_;
};

/// What a test asks, of whom.
struct Asking {
  std::vector<std::string> documents;
  std::string question;
  std::string answer = {};  // the model's
  int64_t text_tokens = 1536;
  bool trained_eyes = false;
};

AskRequest request_of(const Asking& asking) {
  AskRequest request;
  for (const std::string& document : asking.documents) {
    request.sources.emplace_back();
    request.sources.back().media = std::make_shared<const std::string>(document);
    request.sources.back().name = "a.pdf";
  }
  request.question = asking.question;
  request.listen = false;
  request.text_tokens = asking.text_tokens;
  return request;
}

/// The stages, and what they were given.
struct Staged {
  explicit Staged(const Asking& asking)
      : seeing(std::make_shared<Seeing>()), saying(std::make_shared<Saying>(asking.answer)) {
    stages.decode_video = std::make_shared<NoPictures>();
    stages.encode = [eyes = seeing](const auto&) { return eyes; };
    stages.compress = [](const auto&) { return vision::make_keep_all({}); };
    stages.generate = saying;
    stages.trained_eyes = asking.trained_eyes;
  }

  std::shared_ptr<Seeing> seeing;
  std::shared_ptr<Saying> saying;
  Stages stages;
};

struct Asked {
  TaskResult result;
  std::vector<std::string> prompts;
  std::vector<FrameBatch> seen;
};

Asked asked(const Asking& asking) {
  const Staged staged(asking);
  Asked all;
  all.result = Asker(staged.stages, nullptr, "tiny").ask(request_of(asking));
  all.prompts = staged.saying->asked;
  all.seen = staged.seeing->seen;
  return all;
}

const std::string kInvoice = pdf_text("Date", 20, 150, 12) + pdf_text("3 May", 200, 150, 12) +
                             pdf_text("Total", 20, 100, 12) + pdf_text("42.50", 200, 100, 12);

}  // namespace

TEST_CASE("a document's text is told row by row, and the answer's cell is the evidence") {
  const Asked all = asked({{pdf_bytes({{kInvoice}})}, "What is the total?", "42.50"});
  REQUIRE(all.prompts.size() == 1);
  CHECK(all.prompts[0].find("Page 1\nWritten:\nDate | 3 May\nTotal | 42.50\n") == 0);
  CHECK(all.prompts[0].find("What is the total?") != std::string::npos);
  CHECK(all.seen.empty());  // eyes that were not trained to read add nothing to a text
  CHECK(all.result.task == "ask");
  CHECK(all.result.text == "42.50");
  REQUIRE(all.result.evidence.size() == 1);
  const Evidence& evidence = all.result.evidence[0];
  CHECK(evidence.page == 1);
  CHECK(evidence.quote == "42.50");
  CHECK((*evidence.box)[0] == Approx(200 / 300.0).margin(0.01));
  REQUIRE(all.result.sources.size() == 1);
  CHECK(all.result.sources[0].pages == 1);
  CHECK(all.result.sources[0].media.kind == MediaKind::kDocument);
  CHECK(all.result.warnings.empty());
}

TEST_CASE("eyes that were trained see the pages, too") {
  const Asked all =
      asked({{pdf_bytes({{""}, {kInvoice}})}, "What is the total?", "42.50", 1536, true});
  REQUIRE(all.seen.size() == 2);
  CHECK(all.seen[0].pts_seconds.item<double>() == 1);
  CHECK(all.seen[1].pixels.size(2) == 1344);
  CHECK(all.prompts.at(0).find("Page 1: #\nPage 2: #\nWritten:\nDate") == 0);
}

TEST_CASE("a page without text is looked at, and said to have none") {
  const Asked all = asked({{pdf_bytes({{""}})}, "What is the total?", "it is blank"});
  CHECK(all.seen.size() == 1);
  CHECK(all.prompts.at(0).find("Page 1: #") == 0);
  REQUIRE(all.result.warnings.size() == 1);
  CHECK(all.result.warnings[0] == "a.pdf: no text on page 1");
  CHECK(all.result.evidence.empty());
}

TEST_CASE("no more than four pages are looked at") {
  const Asked all = asked({{pdf_bytes(std::vector<PdfPageSource>(6, {""}))}, "What?", "nothing"});
  CHECK(all.seen.size() == 4);
  REQUIRE(all.result.warnings.size() == 2);
  CHECK(all.result.warnings[1] == "a.pdf: 4 of its pages are looked at");
}

TEST_CASE("what is not there is said in one way") {
  for (const char* const answer :
       {"not found", " Not found.", "Not found on this page", "\n", ""}) {
    const Asked all = asked({{pdf_bytes({{kInvoice}})}, "What is the flight number?", answer});
    CHECK(all.result.text == kNotFound);
    CHECK(all.result.evidence.empty());
  }
}

TEST_CASE("a document that is too long is told in part, with a warning") {
  std::vector<PdfPageSource> pages(30, {pdf_text("Nothing of note", 20, 100)});
  pages[16].content = pdf_text("The harbour opened in 1874", 20, 100);
  const Asked all = asked({{pdf_bytes(pages)}, "When did the harbour open?", "1874", 20});
  CHECK(all.prompts.at(0).find("Page 17\nWritten:\nThe harbour opened in 1874\n") == 0);
  CHECK(all.prompts[0].find("note") == std::string::npos);
  REQUIRE(all.result.warnings.size() == 1);
  CHECK(all.result.warnings[0] ==
        "the text is too long for the prompt: 1 of 30 cells on 1 of 30 pages are told, those "
        "nearest to the question");
  CHECK(all.result.evidence.at(0).page == 17);
  // Nothing to go by: the beginning.
  const Asked other = asked({{pdf_bytes(pages)}, "Wann wurde er eröffnet?", "1874", 20});
  CHECK(other.prompts.at(0).find("Page 1\nWritten:\nNothing of note\n") == 0);
}

TEST_CASE("of several documents the evidence names the one") {
  const Asked all = asked({{pdf_bytes({{pdf_text("Nothing", 9, 9)}}), pdf_bytes({{kInvoice}})},
                           "What is the date?",
                           "3 May"});
  CHECK(all.result.evidence.at(0).source == 1);
}

TEST_CASE("what cannot be asked is refused in one line") {
  const std::string good = pdf_bytes({{kInvoice}});
  CHECK_THROWS_MATCHES(asked({{good}, " ?\n", ""}), Error,
                       IsError(ErrorCode::kInvalidArgument, "question: expected words, got none"));
  CHECK_THROWS_MATCHES(asked({{}, "What?", ""}), Error,
                       IsError(ErrorCode::kInvalidArgument, "ask: expected at least one file"));
  CHECK_THROWS_MATCHES(asked({{good}, "What?", "", 0}), Error,
                       IsError(ErrorCode::kInvalidArgument, "text_tokens"));
  CHECK_THROWS_MATCHES(asked({{pdf_bytes({{kInvoice}}, kEncrypted)}, "What?", ""}), Error,
                       IsError(ErrorCode::kPermissionDenied, "a.pdf"));
  CHECK_THROWS_MATCHES(asked({{good.substr(0, 300)}, "What?", ""}), Error,
                       IsError(ErrorCode::kDataLoss, "a.pdf"));
  CHECK_THROWS_MATCHES(asked({{good, "no media"}, "What?", ""}), Error,
                       IsError(ErrorCode::kNotFound, "no video stream"));
}

TEST_CASE("an asker behind a service answers the same, errors included") {
  const Asking asking{{pdf_bytes({{kInvoice}})}, "What is the total?", "42.50", 99};
  const Staged staged(asking);
  const auto asker = std::make_shared<Asker>(staged.stages, nullptr, "tiny");
  const Server server("", {ask_service(asker, std::make_shared<CallGate>(ServingLimits{}))});
  const auto there = [&](const AskRequest& request) {
    std::string text;
    TaskObserver observer;
    observer.text = [&text](const std::string& more) { text += more; };
    TaskResult result = remote_ask(server.in_process_channel(), "near", request, observer,
                                   std::chrono::seconds(20));
    CHECK(text == "42.50");
    return result;
  };
  const auto same = [](TaskResult result) {
    result.times = {};
    result.peak_memory_bytes = 0;
    return to_json(result).dump();
  };
  CHECK(same(there(request_of(asking))) == same(asker->ask(request_of(asking))));
  CHECK(staged.saying->asked.at(0) == staged.saying->asked.at(1));
  const Asking locked{{pdf_bytes({{kInvoice}}, kEncrypted)}, "What?"};
  CHECK_THROWS_MATCHES(there(request_of(locked)), Error,
                       IsError(ErrorCode::kPermissionDenied, "a.pdf"));
  AskRequest long_answer = request_of(asking);
  long_answer.options.max_tokens = 1 << 20;
  CHECK_THROWS_MATCHES(there(long_answer), Error,
                       IsError(ErrorCode::kInvalidArgument, "max_tokens"));
}

}  // namespace lv::services
