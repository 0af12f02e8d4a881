#include "audio/transcribe/subtitles.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lv::audio {
namespace {

std::string clock(double seconds, char separator) {
  constexpr double kLongest = 359999.999;  // 99:59:59,999
  const auto total = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, kLongest) * 1000));
  char text[16];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d%c%03d", static_cast<int>(total / 3600000),
                static_cast<int>(total / 60000 % 60), static_cast<int>(total / 1000 % 60),
                separator, static_cast<int>(total % 1000));
  return text;
}

std::string times(const SpeechSegment& segment, char separator) {
  return clock(segment.start_seconds, separator) + " --> " + clock(segment.end_seconds, separator);
}

/// An empty line would end a block early.
std::string one_line(const std::string& text) {
  std::string line = text;
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string to_text(std::span<const SpeechSegment> speech) {
  std::string text;
  for (const SpeechSegment& segment : speech) {
    if (!text.empty() && !segment.text.empty()) text += ' ';
    text += segment.text;
  }
  return text;
}

std::string to_srt(std::span<const SpeechSegment> speech) {
  std::string text;
  int64_t number = 0;
  for (const SpeechSegment& segment : speech) {
    text += std::to_string(++number) + "\n" + times(segment, ',') + "\n" + one_line(segment.text) +
            "\n\n";
  }
  return text;
}

std::string to_vtt(std::span<const SpeechSegment> speech) {
  std::string text = "WEBVTT\n\n";
  for (const SpeechSegment& segment : speech) {
    text += times(segment, '.') + "\n" + escaped(one_line(segment.text)) + "\n\n";
  }
  return text;
}

}  // namespace lv::audio
