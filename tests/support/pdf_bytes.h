#pragma once

#include <string>
#include <vector>

namespace lv {

/// A page of a PDF file: entries of its dictionary, and what draws it.
struct PdfPageSource {
  std::string content;
  std::string entries = "/MediaBox [0 0 300 200]";
};

/// What draws `text` at `size` points, its line's left end at x, y points from the lower left.
inline std::string pdf_text(const std::string& text, int x, int y, int size = 20) {
  return "BT /F1 " + std::to_string(size) + " Tf " + std::to_string(x) + " " + std::to_string(y) +
         " Td (" + text + ") Tj ET\n";
}

/// What draws a grey picture over the whole of a page of 300 x 200 points; `grey` holds its rows.
inline std::string pdf_picture(int width, int height, const std::string& grey) {
  const char* const digits = "0123456789abcdef";
  std::string hex;
  for (const unsigned char level : grey) hex += {digits[level >> 4], digits[level & 15]};
  return "q 300 0 0 200 0 0 cm BI /W " + std::to_string(width) + " /H " + std::to_string(height) +
         " /CS /G /BPC 8 /F /AHx ID " + hex + "> EI Q\n";
}

/// The file, with `trailer` entries in its trailer. Its one font is Helvetica, which no file holds.
/// Objects 4, 6, ... are contents, 5, 7, ... pages; `forms` follow.
inline std::string pdf_bytes(const std::vector<PdfPageSource>& pages,
                             const std::string& trailer = "",
                             const std::vector<std::string>& forms = {}) {
  const auto stream = [](const std::string& entries, const std::string& content) {
    return "<< " + entries + "/Length " + std::to_string(content.size()) + " >>\nstream\n" +
           content + "\nendstream";
  };
  const size_t first_form = 4 + 2 * pages.size();
  std::string names, kids;
  for (size_t i = 0; i < forms.size(); ++i) {
    names += "/X" + std::to_string(i) + " " + std::to_string(first_form + i) + " 0 R ";
  }
  const std::string resources =
      "/Resources << /Font << /F1 3 0 R >> /XObject << " + names + ">> >> ";
  std::vector<std::string> objects = {"<< /Type /Catalog /Pages 2 0 R >>", "",
                                      "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"};
  for (const PdfPageSource& page : pages) {
    objects.push_back(stream("", page.content));
    const std::string contents = std::to_string(objects.size());
    objects.push_back("<< /Type /Page /Parent 2 0 R " + page.entries + " /Contents " + contents +
                      " 0 R " + resources + ">>");
    kids += std::to_string(objects.size()) + " 0 R ";
  }
  objects[1] =
      "<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(pages.size()) + " >>";
  for (const std::string& form : forms) {
    objects.push_back(
        stream("/Type /XObject /Subtype /Form /BBox [0 0 300 200] " + resources, form));
  }
  std::string file = "%PDF-1.4\n", table;
  for (size_t i = 0; i < objects.size(); ++i) {
    const std::string at = std::to_string(file.size());
    table += std::string(10 - at.size(), '0') + at + " 00000 n \n";
    file += std::to_string(i + 1) + " 0 obj\n" + objects[i] + "\nendobj\n";
  }
  const std::string size = std::to_string(objects.size() + 1);
  return file + "xref\n0 " + size + "\n0000000000 65535 f \n" + table + "trailer << /Size " + size +
         " /Root 1 0 R " + trailer + " >>\nstartxref\n" + std::to_string(file.size()) + "\n%%EOF\n";
}

/// A trailer's entries that ask for a password nobody has.
inline const char* const kEncrypted =
    "/Encrypt << /Filter /Standard /V 1 /R 2 /O "
    "(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) /U "
    "(bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) /P -4 >> /ID [(0123456789abcdef) "
    "(0123456789abcdef)]";

}  // namespace lv
