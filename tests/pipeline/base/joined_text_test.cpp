#include "pipeline/base/joined_text.h"

#include <catch2/catch.hpp>
#include <string_view>
#include <vector>

namespace lv {
namespace {

struct Named {
  std::string_view name;
};

TEST_CASE("parts are joined with what stands between them, empty ones too") {
  CHECK(joined_text(std::vector<std::string>{}) == "");
  CHECK(joined_text(std::vector<std::string>{"a"}) == "a");
  CHECK(joined_text(std::vector<std::string>{"a", "", "b"}) == "a, , b");
  CHECK(joined_text(std::vector<Named>{{"x"}, {"y"}}, " / ", &Named::name) == "x / y");
}

}  // namespace
}  // namespace lv
