#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <exception>
#include <string>

#include "pipeline/base/error.h"

namespace lv::services {

/// What went wrong as a status: lv::Error keeps its code and text, no memory is RESOURCE_EXHAUSTED,
/// everything else INTERNAL. The text is one line without source paths and backtraces.
grpc::Status to_status(std::exception_ptr problem);

/// The trailing metadata key that a server of ours sets when the status is a stage's own error.
inline constexpr char kStageErrorKey[] = "longview-stage-error";

/// The way to a far stage, for the text of errors.
struct Way {
  std::string who;                        // e.g. "encode at gpu1:50051"
  std::chrono::milliseconds deadline{0};  // of the call; 0 is none
};

/// A status that is not OK, of a call that this side did not cancel, as an error again.
/// `stage_error` says that the far stage threw it: then it is the same error as here. Else the way
/// failed and the text starts with its name.
Error to_error(const grpc::Status& status, bool stage_error, const Way& way);

}  // namespace lv::services
