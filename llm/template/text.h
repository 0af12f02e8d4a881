#pragma once

#include <string>
#include <string_view>

namespace lv::llm {

/// Who wrote a byte of a rendered prompt.
enum Origin : char {
  kTemplate = 0,  // may become a special token
  kUser = 1,      // may not
  kVisual = 2,    // a mark that stands for a picture; see ChatTemplate
};

/// A string whose bytes remember who wrote them.
struct Text {
  std::string bytes;
  std::string origin;  // one Origin for each byte

  Text() = default;
  Text(std::string_view text, Origin from) : bytes(text), origin(text.size(), from) {}

  size_t size() const { return bytes.size(); }
  void append(const Text& other) {
    bytes += other.bytes;
    origin += other.origin;
  }
  void append(std::string_view text, char from) {
    bytes += text;
    origin.append(text.size(), from);
  }
  Text slice(size_t begin, size_t end) const {
    Text part;
    part.bytes = bytes.substr(begin, end - begin);
    part.origin = origin.substr(begin, end - begin);
    return part;
  }
};

}  // namespace lv::llm
