#pragma once

#include <string>

namespace lv::apps {

/// Writes the whole text to `path`, or nothing: a temporary file beside it is renamed over it.
/// Throws kFailedPrecondition.
void write_whole_file(const std::string& path, const std::string& text);

/// A text that may come from a file, fit for a terminal: control characters become '?'.
std::string printable(std::string text);

/// "mm:ss.t" of seconds.
std::string clock_text(double seconds);

}  // namespace lv::apps
