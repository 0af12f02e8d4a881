#pragma once

#include <cstdint>

// What pdf_worker/main.cpp writes to its output for pdf_file.cpp: records, each a PdfRecord and its
// payload. Both are of one build, on one machine: plain structs in its own byte order.
namespace lv {

enum class PdfRecordKind : uint32_t {
  kPages = 1,    // a: how many pages the document has
  kText = 2,     // page; payload: PdfSize, then PdfWord and its bytes, one after
                 // the other
  kPicture = 3,  // page; a, b: width, height; payload: RGB rows
  kNote = 4,     // payload: what is wrong with the file, one line
  kLocked = 5,   // it needs a password; the last record
  kBroken = 6,   // it cannot be opened; the last record
  kEnd = 7,      // of all that was asked for; a: 1 if there was too much text
};

struct PdfRecord {
  PdfRecordKind kind = PdfRecordKind::kEnd;
  uint32_t page = 0;  // from 1
  uint32_t a = 0;
  uint32_t b = 0;
  uint64_t bytes = 0;  // of the payload
};

/// Of a page as it is shown, in points (1/72 inch).
struct PdfSize {
  float width = 0;
  float height = 0;
};

struct PdfWord {
  float box[4] = {};   // in points from the page's top left corner
  uint32_t turn = 0;   // quarter turns clockwise
  uint32_t bytes = 0;  // of UTF-8 that follow
};

/// Exit statuses of the worker besides 0.
constexpr int kPdfWrongUse = 2;
constexpr int kPdfNoMemory = 3;

}  // namespace lv
