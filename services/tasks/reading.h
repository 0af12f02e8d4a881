#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/media/pdf_file.h"
#include "services/tasks/retrieval.h"
#include "vision/read/text_reader.h"

namespace lv::services {

struct ReadDocument {
  int64_t page_count = 0;  // of the whole document
  int32_t width = 0;       // of its first page, in points
  int32_t height = 0;
  std::vector<ReadPage> pages;  // those that were read, also without any cell
  std::vector<std::string> warnings;
};

/// Reads a document: the text layer, or what `reader` recognises on pages that have none, the first
/// sixteen of those. `reader` may be null: then nothing is recognised. Throws what PdfFile throws.
ReadDocument read_document(const PdfFile& file, int32_t source, const std::string& name,
                           const vision::TextReader* reader);

/// Reads a picture of a page, [H, W, 3] uint8 RGB.
ReadPage read_picture(const at::Tensor& pixels, int32_t source, const vision::TextReader& reader);

}  // namespace lv::services
