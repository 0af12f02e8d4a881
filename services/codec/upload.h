#pragma once

#include <functional>
#include <optional>

#include "pipeline/types/media.h"
#include "services/codec/messages.h"

namespace lv::services {

/// Reads or writes the next message of a stream; false at its end.
template <class Message>
using ReadMessage = std::function<bool(Message*)>;
template <class Message>
using WriteMessage = std::function<bool(const Message&)>;

/// Sends a file, by path or in memory, as a header and pieces of 1 MiB. False if the other side
/// stopped reading. Throws kNotFound if the file cannot be opened.
bool send_media(const MediaRequest& request, const WriteMessage<v1::MediaChunk>& write);

/// Reads one file into memory; nullopt if the stream ends before it starts. The request never holds
/// a path. Throws kResourceExhausted as soon as the file must grow over its ceiling, which is the
/// smaller of the header's and that of `ceilings`.
std::optional<MediaRequest> receive_media(const ReadMessage<v1::MediaChunk>& read,
                                          const MediaLimits& ceilings);

}  // namespace lv::services
