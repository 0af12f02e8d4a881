#include "pipeline/base/read_file.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {

TEST_CASE("a file is read whole or not at all") {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\r\n", 5);
  write_file(folder / "x", bytes);
  write_file(folder / "empty", "");
  CHECK(file_contents(folder / "x", 5) == bytes);
  CHECK(file_contents(folder / "empty", 0).empty());
  CHECK_THROWS_MATCHES(file_contents(folder / "x", 4), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected at most 4 bytes, got 5"));
  CHECK_THROWS_MATCHES(file_contents(folder / "none", 4), Error,
                       IsError(ErrorCode::kNotFound, "none: cannot be opened"));
  CHECK_THROWS_AS(file_contents(folder.path(), 4), Error);
}

}  // namespace lv
