#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/types/frames.h"
#include "pipeline/types/page.h"

namespace lv::vision {

/// A line of text in a picture.
struct TextLine {
  std::string text;
  std::array<float, 4> box{};  // x0 y0 x1 y1 as fractions of the picture
  double confidence = 0;       // [0, 1]
};

/// A line of text that stood in the picture on [start, end].
struct ScreenText {
  double start_seconds = 0;
  double end_seconds = 0;
  std::string text;
  std::array<float, 4> box{};
};

/// Reads a film as its frames pass by: only where the picture holds still, and the same text over
/// consecutive frames once. Not thread-safe.
class StillReading {
 public:
  virtual ~StillReading() = default;
  virtual void add(const FrameBatch& batch) = 0;
  virtual std::vector<ScreenText> finish() = 0;
};

/// Recognises text in pictures with Tesseract. Thread-safe.
class TextReader {
 public:
  /// Throws kFailedPrecondition if the language's data is not installed.
  explicit TextReader(const std::string& language = "eng");
  ~TextReader();

  /// [H, W, 3] uint8 RGB -> lines in reading order; what is unsure is left out.
  std::vector<TextLine> read(const at::Tensor& pixels) const;

  /// [H, W, 3] uint8 RGB, a page -> its words, in the order of the page's layout. A page that lies
  /// on its side or upside down is read as it is written: its words say at which turn.
  std::vector<PageWord> read_page(const at::Tensor& pixels) const;

  /// The reader outlives what it starts.
  std::unique_ptr<StillReading> start() const;

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lv::vision
