#include "services/tasks/result_codec.h"

#include <catch2/catch.hpp>

#include "longview/v1/caption.pb.h"

namespace lv::services {
namespace {

TaskResult full_result() {
  TaskResult result;
  result.task = "caption";
  result.model = "nano";
  result.text = "A dog.";
  result.sources = {{"a.mp4", {MediaKind::kVideo, 9.8, 640, 360}}};
  result.segments = {{0, 4.2, "A dog."}};
  result.transcript = {{0.4, 2.1, "Hello."}};
  result.language = "en";
  result.audio = AudioUse::kUndecodable;
  result.screen_text = {{1, 3, "EXIT", {0.1f, 0.2f, 0.3f, 0.25f}}};
  result.sampling = {{0, 1.5}};
  result.compression = {{"tome", 0.3, 5832, 1750, 0.93, 4.1}};
  result.tokens = {812, 5832, 1750, 3, 64};
  result.times = {9, 1, 2, 3, 4, 5, 16};
  result.peak_memory_bytes = 1 << 20;
  result.warnings = {"w"};
  return result;
}

TEST_CASE("a result that crossed the wire is the same result") {
  v1::CaptionResult message;
  to_proto(full_result(), &message);
  v1::CaptionResult received;
  REQUIRE(received.ParseFromString(message.SerializeAsString()));
  CHECK(to_json(from_proto(received)).dump() == to_json(full_result()).dump());
  CHECK(from_proto(received).times.load == 9);
}

TEST_CASE("names and texts that are not UTF-8 still cross the wire") {
  TaskResult result = full_result();
  result.sources[0].path = "a\xff.mp4";
  result.warnings = {"\xc3"};
  v1::CaptionResult message;
  to_proto(result, &message);
  v1::CaptionResult received;
  REQUIRE(received.ParseFromString(message.SerializeAsString()));
  CHECK(from_proto(received).sources[0].path == "a\xef\xbf\xbd.mp4");
}

}  // namespace
}  // namespace lv::services
