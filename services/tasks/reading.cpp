#include "services/tasks/reading.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/cancellation.h"

namespace lv::services {
namespace {

constexpr size_t kMostListed = 8;        // pages in a warning
constexpr size_t kMostRecognised = 16;   // pages of a document, which bounds the time
constexpr int64_t kReadableSide = 1754;  // pixels: A4 at 150 dots an inch

double aspect_of(double width, double height) {
  const double aspect = width / height;
  return std::isfinite(aspect) && aspect > 0 ? aspect : 1;
}

/// "page 3", "pages 1, 2", or how many there are.
std::string list_of(const std::vector<int32_t>& numbers) {
  if (numbers.size() == 1) return "page " + std::to_string(numbers[0]);
  if (numbers.size() > kMostListed) return std::to_string(numbers.size()) + " pages";
  std::string text;
  for (const int32_t number : numbers) {
    text += (text.empty() ? "pages " : ", ") + std::to_string(number);
  }
  return text;
}

/// Recognises what is written on these pages, which have no text layer.
void recognise(const PdfFile& file, const vision::TextReader& reader,
               const std::vector<int32_t>& numbers, std::vector<ReadPage>& pages) {
  for (const int32_t number : numbers) {  // one at a time, so that one picture is held
    check_cancelled();
    for (const PdfPicture& picture : file.pictures({number}, kReadableSide)) {
      const auto page = std::ranges::find(pages, number, &ReadPage::number);
      page->cells = read_picture(picture.pixels, page->source, reader).cells;
    }
  }
}

}  // namespace

ReadPage read_picture(const at::Tensor& pixels, int32_t source, const vision::TextReader& reader) {
  return {
      source, 0,
      vision::cells_of(reader.read_page(pixels), aspect_of(static_cast<double>(pixels.size(1)),
                                                           static_cast<double>(pixels.size(0))))};
}

ReadDocument read_document(const PdfFile& file, int32_t source, const std::string& name,
                           const vision::TextReader* reader) {
  PdfText text = file.text();
  ReadDocument document;
  document.page_count = text.page_count;
  document.warnings = std::move(text.warnings);
  if (!text.pages.empty()) {
    document.width = static_cast<int32_t>(std::clamp(text.pages[0].width_points, 0.0, 1e9));
    document.height = static_cast<int32_t>(std::clamp(text.pages[0].height_points, 0.0, 1e9));
  }
  std::vector<int32_t> bare;
  for (const PdfPage& page : text.pages) {
    document.pages.push_back(
        {source, page.number,
         vision::cells_of(page.words, aspect_of(page.width_points, page.height_points))});
    if (document.pages.back().cells.empty()) bare.push_back(page.number);
  }
  if (reader != nullptr && !bare.empty()) {
    const size_t all = bare.size();
    bare.resize(std::min(all, kMostRecognised));
    recognise(file, *reader, bare, document.pages);
    if (all > bare.size()) {
      document.warnings.push_back(name + ": of " + std::to_string(all) +
                                  " pages without a text layer, the text of the first " +
                                  std::to_string(bare.size()) + " was recognised");
    }
    std::erase_if(bare, [&](int32_t number) {
      return !std::ranges::find(document.pages, number, &ReadPage::number)->cells.empty();
    });
  }
  if (!bare.empty()) document.warnings.push_back(name + ": no text on " + list_of(bare));
  return document;
}

}  // namespace lv::services
