#include "services/tasks/result_codec.h"

#include <catch2/catch.hpp>

#include "longview/v1/caption.pb.h"
#include "tests/services/tasks/full_result.h"

namespace lv::services {
namespace {

TEST_CASE("a result that crossed the wire is the same result") {
  TaskResult result = full_result();
  result.audio =
      GENERATE(AudioUse::kUsed, AudioUse::kAbsent, AudioUse::kUndecodable, AudioUse::kDisabled);
  v1::CaptionResult message;
  to_proto(result, &message);
  v1::CaptionResult received;
  REQUIRE(received.ParseFromString(message.SerializeAsString()));
  CHECK(to_json(from_proto(received)).dump() == to_json(result).dump());
  result.task = "ask";
  to_proto(result, &message);
  CHECK(to_json(from_proto(message)).dump() == to_json(result).dump());
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
