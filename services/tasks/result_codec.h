#pragma once

#include "services/codec/messages.h"
#include "services/tasks/result.h"

namespace longview::v1 {
class CaptionResult;
}

namespace lv::services {

/// A result as a message. peak_memory_bytes is that of this process.
void to_proto(const TaskResult& result, v1::CaptionResult* message);

/// A message as a result. Throws kInvalidArgument on what no server of ours writes.
TaskResult from_proto(const v1::CaptionResult& message);

}  // namespace lv::services
