#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace lv {

/// Why a request failed. The numbers are gRPC's canonical codes, so one cast crosses the wire.
enum class ErrorCode {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// The code's name as gRPC writes it, e.g. "INVALID_ARGUMENT".
std::string_view name_of(ErrorCode code);

/// The only exception type that Longview defines. The text says who, what was expected and what was
/// got.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws Error(code, text) unless `condition` holds.
inline void check(bool condition, ErrorCode code, const char* text) {
  if (!condition) throw Error(code, text);
}
inline void check(bool condition, ErrorCode code, const std::string& text) {
  if (!condition) throw Error(code, text);
}

}  // namespace lv
