#include "services/codec/upload.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "longview/v1/media.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/codec.h"
#include "services/codec/utf8.h"

namespace lv::services {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

bool send_bytes(const std::string& bytes, const WriteMessage<v1::MediaChunk>& write) {
  size_t at = 0;
  do {
    const size_t count = std::min(kPieceBytes, bytes.size() - at);
    v1::MediaChunk chunk;
    chunk.set_data(bytes.data() + at, count);
    at += count;
    chunk.set_last(at == bytes.size());
    if (!write(chunk)) return false;
  } while (at < bytes.size());
  return true;
}

bool send_stream(std::ifstream& file, const std::string& path,
                 const WriteMessage<v1::MediaChunk>& write) {
  std::string piece(kPieceBytes, '\0');
  bool last = false;
  while (!last) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    check(!file.bad(), ErrorCode::kDataLoss, path + ": cannot be read");
    last = !file;
    v1::MediaChunk chunk;
    chunk.set_data(piece.data(), static_cast<size_t>(file.gcount()));
    chunk.set_last(last);
    if (!write(chunk)) return false;
  }
  return true;
}

v1::MediaChunk header_of(const MediaRequest& request, const std::string& name) {
  v1::MediaChunk chunk;
  v1::MediaHeader* header = chunk.mutable_header();
  header->set_name(valid_utf8(name));
  header->set_view(valid_utf8(request.view));
  to_proto(request.sampling, header->mutable_sampling());
  to_proto(request.limits, header->mutable_limits());
  return chunk;
}

void check_size(int64_t bytes, const MediaRequest& request) {
  check(bytes <= request.limits.max_bytes, ErrorCode::kResourceExhausted,
        request.name + ": expected at most " + std::to_string(request.limits.max_bytes) +
            " bytes, got " + std::to_string(bytes) + " or more");
}

std::string receive_bytes(const ReadMessage<v1::MediaChunk>& read, const MediaRequest& request) {
  std::string bytes;
  v1::MediaChunk chunk;
  do {
    check(read(&chunk), ErrorCode::kInvalidArgument,
          request.name + ": the stream ended before the file's last piece");
    check(chunk.part_case() != v1::MediaChunk::kHeader, ErrorCode::kInvalidArgument,
          request.name + ": a header came before the file's last piece");
    check_size(static_cast<int64_t>(bytes.size() + chunk.data().size()), request);
    bytes += chunk.data();
  } while (!chunk.last());
  return bytes;
}

}  // namespace

bool send_media(const MediaRequest& request, const WriteMessage<v1::MediaChunk>& write) {
  const auto* path = std::get_if<std::string>(&request.media);
  v1::MediaChunk header = header_of(request, request.name.empty() && path ? *path : request.name);
  if (!path) {
    const auto& bytes = std::get<std::shared_ptr<const std::string>>(request.media);
    check(bytes != nullptr, ErrorCode::kInvalidArgument,
          request.name + ": expected bytes, got none");
    header.mutable_header()->set_size_bytes(static_cast<int64_t>(bytes->size()));
    return write(header) && send_bytes(*bytes, write);
  }
  std::ifstream file(*path, std::ios::binary);
  std::error_code problem;
  check(file.is_open() && !std::filesystem::is_directory(*path, problem), ErrorCode::kNotFound,
        *path + ": cannot be opened");
  const auto size = std::filesystem::file_size(*path, problem);  // fails for what is no plain file
  if (!problem) header.mutable_header()->set_size_bytes(static_cast<int64_t>(size));
  return write(header) && send_stream(file, *path, write);
}

std::optional<MediaRequest> receive_media(const ReadMessage<v1::MediaChunk>& read,
                                          const MediaLimits& ceilings) {
  v1::MediaChunk chunk;
  if (!read(&chunk)) return std::nullopt;
  check(chunk.has_header(), ErrorCode::kInvalidArgument, "media: expected a header first");
  const v1::MediaHeader& header = chunk.header();
  MediaRequest request;
  request.name = header.name().empty() ? "media" : header.name();
  request.view = header.view();
  request.sampling = from_proto(header.sampling());
  request.limits = from_proto(header.limits(), ceilings);
  if (header.has_size_bytes()) check_size(header.size_bytes(), request);
  check(!chunk.last(), ErrorCode::kInvalidArgument, request.name + ": expected bytes, got none");
  request.media = std::make_shared<const std::string>(receive_bytes(read, request));
  return request;
}

}  // namespace lv::services
