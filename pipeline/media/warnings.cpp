#include "pipeline/media/warnings.h"

#include <cctype>
#include <cstdarg>
#include <cstdio>

#include "pipeline/media/ffmpeg.h"

namespace lv {
namespace {

constexpr size_t kMostLines = 16;

std::string without_numbers(const std::string& text) {
  std::string key;
  for (const unsigned char c : text) {
    if (!std::isdigit(c)) {
      key += static_cast<char>(c);
    } else if (key.empty() || key.back() != '#') {
      key += '#';
    }
  }
  return key;
}

/// Control characters become spaces, those at the end go.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (std::iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

/// The Warnings that belong to a log context, or nullptr.
Warnings* owner_of(void* context) {
  for (int depth = 0; context != nullptr && depth < 4; ++depth) {
    const AVClass* type = *static_cast<const AVClass**>(context);
    if (type == nullptr) return nullptr;
    if (type == avcodec_get_class()) {
      return static_cast<Warnings*>(static_cast<AVCodecContext*>(context)->opaque);
    }
    if (type == avformat_get_class()) {
      return static_cast<Warnings*>(static_cast<AVFormatContext*>(context)->opaque);
    }
    if (type->parent_log_context_offset == 0) return nullptr;
    context =
        *reinterpret_cast<void**>(static_cast<char*>(context) + type->parent_log_context_offset);
  }
  return nullptr;
}

void on_message(void* context, int level, const char* format, va_list values) {
  if (level > AV_LOG_ERROR) return;
  Warnings* warnings = owner_of(context);
  if (warnings == nullptr) return;
  char text[512];
  std::vsnprintf(text, sizeof(text), format, values);
  const AVClass* type = *static_cast<const AVClass**>(context);
  const char* part = type->item_name != nullptr ? type->item_name(context) : type->class_name;
  const std::string line = one_line(text);
  if (!line.empty()) warnings->add(std::string(part) + ": " + line);
}

}  // namespace

void Warnings::add(const std::string& text) {
  std::lock_guard lock(mutex_);
  if (seen_.size() > kMostLines || !seen_.insert(without_numbers(text)).second) return;
  if (first_.empty()) first_ = text;
  const bool last = seen_.size() > kMostLines;
  lines_.push_back(name_ + ": " + (last ? "more went wrong, left out here" : text));
}

std::vector<std::string> Warnings::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(lines_, {});
}

std::string Warnings::first() const {
  std::lock_guard lock(mutex_);
  return first_;
}

void capture_ffmpeg_log() {
  static const bool once = [] {
    av_log_set_callback(on_message);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace lv
