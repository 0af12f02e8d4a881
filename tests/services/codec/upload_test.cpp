#include "services/codec/upload.h"

#include <catch2/catch.hpp>
#include <vector>

#include "longview/v1/media.pb.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

using Chunks = std::vector<v1::MediaChunk>;

Chunks sent(const MediaRequest& request) {
  Chunks chunks;
  send_media(request, [&](const v1::MediaChunk& chunk) {
    chunks.push_back(chunk);
    return true;
  });
  return chunks;
}

ReadMessage<v1::MediaChunk> reader(const Chunks& chunks, size_t& at) {
  return [&](v1::MediaChunk* chunk) {
    if (at == chunks.size()) return false;
    *chunk = chunks[at++];
    return true;
  };
}

std::optional<MediaRequest> received(const Chunks& chunks, const MediaLimits& ceilings = {}) {
  size_t at = 0;
  return receive_media(reader(chunks, at), ceilings);
}

const std::string& bytes_of(const MediaRequest& request) {
  return *std::get<std::shared_ptr<const std::string>>(request.media);
}

MediaRequest in_memory(std::string bytes) {
  MediaRequest request;
  request.media = std::make_shared<const std::string>(std::move(bytes));
  request.name = "clip.mp4";
  request.view = "front";
  request.sampling.rule = UniformFrames{3};
  return request;
}

TEST_CASE("a file in memory arrives in pieces of a mebibyte") {
  const std::string bytes((2 << 20) + 5, 'x');
  const Chunks chunks = sent(in_memory(bytes));
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].header().size_bytes() == (2 << 20) + 5);
  CHECK(chunks[3].data().size() == 5);
  const auto request = received(chunks);
  REQUIRE(request);
  CHECK(bytes_of(*request) == bytes);
  CHECK(request->name == "clip.mp4");
  CHECK(request->view == "front");
  CHECK(std::get<UniformFrames>(request->sampling.rule).count == 3);
}

TEST_CASE("a path is read by the sender and never reaches the receiver") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.bin";
  const std::string bytes = GENERATE(std::string(), std::string("abc"), std::string(1 << 20, 'y'));
  write_file(path, bytes);
  MediaRequest request;
  request.media = path;
  const auto got = received(sent(request));
  REQUIRE(got);
  CHECK(bytes_of(*got) == bytes);
  CHECK(got->name == path);
}

TEST_CASE("files come one after the other") {
  Chunks chunks = sent(in_memory("first"));
  for (const v1::MediaChunk& chunk : sent(in_memory("second"))) chunks.push_back(chunk);
  size_t at = 0;
  const auto read = reader(chunks, at);
  CHECK(bytes_of(*receive_media(read, {})) == "first");
  CHECK(bytes_of(*receive_media(read, {})) == "second");
  CHECK_FALSE(receive_media(read, {}));
}

TEST_CASE("a file over the ceiling is refused before its bytes and after them") {
  MediaLimits ceilings;
  ceilings.max_bytes = 10;
  Chunks chunks = sent(in_memory("eleven bytes"));
  size_t at = 0;
  CHECK_THROWS_WITH(receive_media(reader(chunks, at), ceilings),
                    "clip.mp4: expected at most 10 bytes, got 12 or more");
  CHECK(at == 1);
  chunks[0].mutable_header()->clear_size_bytes();
  at = 0;
  try {
    receive_media(reader(chunks, at), ceilings);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kResourceExhausted);
  }
}

TEST_CASE("streams out of order are refused") {
  const Chunks good = sent(in_memory(std::string((1 << 20) + 1, 'x')));
  REQUIRE(good.size() == 3);
  CHECK_FALSE(received({}));
  CHECK_THROWS_WITH(received({good[1]}), "media: expected a header first");
  CHECK_THROWS_WITH(received({good[0]}), Catch::Contains("ended before"));
  CHECK_THROWS_WITH(received({good[0], good[1]}), Catch::Contains("ended before"));
  CHECK_THROWS_WITH(received({good[0], good[0]}), Catch::Contains("a header came before"));
  CHECK_THROWS_WITH(received({v1::MediaChunk()}), "media: expected a header first");
}

TEST_CASE("a path that cannot be opened is the sender's error") {
  const TemporaryFolder folder;
  MediaRequest request;
  for (const std::string& path : {folder / "absent", folder.path()}) {
    request.media = path;
    try {
      sent(request);
      FAIL("opened " + path);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kNotFound);
      CHECK(std::string(error.what()) == path + ": cannot be opened");
    }
  }
}

}  // namespace
}  // namespace lv::services
