#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/media/media_input.h"
#include "pipeline/types/page.h"

namespace lv {

struct PdfRecord;

/// A page's text layer: what its file says is written there, in the order of the file.
struct PdfPage {
  int32_t number = 0;        // from 1
  double width_points = 0;   // of 1/72 inch, as shown
  double height_points = 0;  // likewise
  std::vector<PageWord> words;
};

struct PdfText {
  int64_t page_count = 0;      // of the document, whatever the limits
  std::vector<PdfPage> pages;  // at most limits.max_pages
  std::vector<std::string> warnings;
};

/// A page as a picture.
struct PdfPicture {
  int32_t number = 0;
  at::Tensor pixels;  // [H, W, 3] uint8, RGB
};

/// A PDF file, read by Poppler in a process of its own (pdf_worker/main.cpp): a hostile file can
/// exhaust or crash nothing else. Nothing that it refers to is opened and no script runs.
/// Immutable, so thread-safe.
class PdfFile {
 public:
  /// Copies the file. Throws like MediaInput, kInvalidArgument for another kind of file,
  /// kResourceExhausted above 2 GiB.
  explicit PdfFile(const MediaRequest& request);
  ~PdfFile();
  PdfFile(const PdfFile&) = delete;
  PdfFile& operator=(const PdfFile&) = delete;

  /// Of its first pages, as far as limits.max_pages and limits.max_text_bytes go; a warning says
  /// what they left out, and what is damaged. Throws kPermissionDenied if it needs a password,
  /// kDataLoss if it cannot be opened, kResourceExhausted if that takes too much memory or time.
  PdfText text() const;

  /// Pages by their numbers, `longest_side` pixels on the longer side or fewer where that is more
  /// than limits.max_picture_pixels. Pages that cannot be drawn are left out. Throws like text().
  std::vector<PdfPicture> pictures(const std::vector<int32_t>& numbers, int64_t longest_side) const;

 private:
  using OnRecord = std::function<void(const PdfRecord&, std::string payload)>;
  std::string run(const std::vector<std::string>& words, const OnRecord& on_record) const;

  std::string name_;
  MediaLimits limits_;
  int file_ = -1;  // in memory, sealed
};

/// Reads the payload of a page's text, which may be damaged on purpose. Throws kInternal.
PdfPage parse_pdf_page(int32_t number, const std::string& payload);

}  // namespace lv
