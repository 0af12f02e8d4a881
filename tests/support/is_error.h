#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "pipeline/base/error.h"

namespace lv {

/// Matches an Error of this code whose text holds `part`:
/// CHECK_THROWS_MATCHES(f(), Error, IsError(ErrorCode::kNotFound, "no tensor")).
class IsError : public Catch::MatcherBase<Error> {
 public:
  IsError(ErrorCode code, std::string part) : code_(code), part_(std::move(part)) {}
  bool match(const Error& error) const override {
    return error.code() == code_ &&
           std::string_view(error.what()).find(part_) != std::string_view::npos;
  }
  std::string describe() const override {
    return "is " + std::string(name_of(code_)) + " and says '" + part_ + "'";
  }

 private:
  ErrorCode code_;
  std::string part_;
};

}  // namespace lv
