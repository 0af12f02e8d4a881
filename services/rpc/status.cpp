#include "services/rpc/status.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "services/codec/utf8.h"

namespace lv::services {
namespace {

// A status travels in HTTP/2 headers, 8 KiB in all, and each byte may take three.
constexpr size_t kMaxTextBytes = 1500;

/// The first line, without the ` at "/path/file.cpp":123` of internal assertions.
std::string one_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  std::string line(text.substr(0, kMaxTextBytes));
  const size_t at = line.find(" at \"/");
  if (at != std::string::npos) {
    const size_t quote = line.find('"', at + 5);
    const size_t end =
        quote == std::string::npos ? quote : line.find_first_not_of(":0123456789", quote + 1);
    line.erase(at, end == std::string::npos ? end : end - at);
  }
  return valid_utf8(line);
}

}  // namespace

grpc::Status to_status(std::exception_ptr problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const Error& error) {
    return {static_cast<grpc::StatusCode>(error.code()), one_line(error.what())};
  } catch (const c10::OutOfMemoryError&) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "out of device memory"};
  } catch (const c10::Error& error) {
    return {grpc::StatusCode::INTERNAL, one_line(error.what_without_backtrace())};
  } catch (const std::bad_alloc&) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "out of memory"};
  } catch (const std::exception& error) {
    return {grpc::StatusCode::INTERNAL, one_line(error.what())};
  } catch (...) {
    return {grpc::StatusCode::UNKNOWN, "a problem without a text"};
  }
}

Error to_error(const grpc::Status& status, bool stage_error, const Way& way) {
  const auto code = static_cast<ErrorCode>(status.error_code());
  if (code == ErrorCode::kCancelled) {
    return Error(ErrorCode::kUnavailable, way.who + ": the other side cancelled the call");
  }
  if (code == ErrorCode::kDeadlineExceeded && way.deadline.count() > 0) {
    return Error(code, way.who + ": no end within the deadline of " +
                           std::to_string(way.deadline.count()) + " ms");
  }
  return Error(code, (stage_error ? "" : way.who + ": ") + status.error_message());
}

}  // namespace lv::services
