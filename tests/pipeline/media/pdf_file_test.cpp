#include "pipeline/media/pdf_file.h"

#include <ATen/ATen.h>

#include <chrono>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/media/pdf_wire.h"
#include "tests/support/is_error.h"
#include "tests/support/pdf_bytes.h"

namespace lv {
namespace {

MediaRequest request_of(const std::string& bytes) {
  MediaRequest request;
  request.media = std::make_shared<const std::string>(bytes);
  request.name = "a.pdf";
  return request;
}

const std::string kHello = pdf_text("Hello world", 20, 150) + pdf_text("Number 42", 20, 110);

/// Forms that each draw the next one many times: a short file that takes for ever.
std::vector<std::string> endless_forms() {
  std::vector<std::string> forms;
  for (int i = 1; i < 12; ++i) {
    forms.emplace_back();
    for (int k = 0; k < 32; ++k) forms.back() += "/X" + std::to_string(i) + " Do ";
  }
  forms.push_back(pdf_text("x", 10, 10));
  return forms;
}

}  // namespace

TEST_CASE("a text layer is read word by word with places") {
  const PdfText text = PdfFile(request_of(pdf_bytes({{kHello}, {pdf_text("Two", 9, 9)}}))).text();
  CHECK(text.page_count == 2);
  CHECK(text.warnings.empty());
  REQUIRE(text.pages.size() == 2);
  const PdfPage& page = text.pages[0];
  CHECK(page.number == 1);
  CHECK(page.width_points == 300);
  CHECK(page.height_points == 200);
  REQUIRE(page.words.size() == 4);
  CHECK(page.words[0].text == "Hello");
  CHECK(page.words[3].text == "42");
  CHECK(page.words[0].turn == 0);
  CHECK(page.words[0].box[0] == Approx(20 / 300.0).margin(0.01));
  CHECK(page.words[0].box[1] == Approx(35 / 200.0).margin(0.02));
  CHECK(page.words[0].box[2] == Approx(65 / 300.0).margin(0.02));
  CHECK(page.words[0].box[3] == Approx(54 / 200.0).margin(0.02));
  CHECK(text.pages[1].number == 2);
  CHECK(text.pages[1].words.at(0).text == "Two");
}

TEST_CASE("places are those of the page as it is shown") {
  const std::string turned = "/MediaBox [0 0 300 200] /Rotate 90";
  const PdfText text = PdfFile(request_of(pdf_bytes({{kHello, turned}}))).text();
  CHECK(text.pages[0].width_points == 200);
  CHECK(text.pages[0].height_points == 300);
  const PageWord& hello = text.pages[0].words.at(0);
  CHECK(hello.turn == 1);
  CHECK(hello.box[0] == Approx(146 / 200.0).margin(0.02));
  CHECK(hello.box[1] == Approx(20 / 300.0).margin(0.01));
  CHECK(hello.box[3] == Approx(65 / 300.0).margin(0.02));
  const std::string cropped = "/MediaBox [0 0 300 200] /CropBox [0 100 150 200]";
  const PdfText part = PdfFile(request_of(pdf_bytes({{kHello, cropped}}))).text();
  CHECK(part.pages[0].width_points == 150);
  CHECK(part.pages[0].words.at(0).box[0] == Approx(20 / 150.0).margin(0.01));
}

TEST_CASE("pages are drawn at the size that is asked for, and under the ceiling") {
  const std::string black = "0 0 0 rg 0 100 150 100 re f\n";  // the upper left quarter
  MediaRequest request = request_of(pdf_bytes({{""}, {black}}));
  const auto pictures = PdfFile(request).pictures({2, 1, 7}, 600);
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].number == 2);
  const at::Tensor& pixels = pictures[0].pixels;
  CHECK(pixels.sizes() == at::IntArrayRef({400, 600, 3}));
  CHECK(pixels.narrow(0, 0, 198).narrow(1, 0, 298).max().item<int>() == 0);
  CHECK(pixels.narrow(0, 202, 198).min().item<int>() == 255);
  CHECK(pictures[1].pixels.min().item<int>() == 255);
  request.limits.max_picture_pixels = 5000;
  const auto small = PdfFile(request).pictures({1}, 600);
  CHECK(small.at(0).pixels.numel() / 3 <= 5000);
  CHECK(small.at(0).pixels.numel() / 3 > 4000);
}

TEST_CASE("page boxes without measure make no large pictures") {
  for (const char* const box : {"/MediaBox [0 0 1e9 1e9]", "/MediaBox [0 0 0 0]",
                                "/MediaBox [0 0 100000 0.01]", "/MediaBox [9 9 -9e30 1]"}) {
    const PdfFile file(request_of(pdf_bytes({{kHello, box}})));
    CHECK(file.text().page_count == 1);
    for (const PdfPicture& picture : file.pictures({1}, 600)) {
      CHECK(std::max(picture.pixels.size(0), picture.pixels.size(1)) <= 601);
    }
  }
}

TEST_CASE(
    "of many pages as many are read as the limits allow, and a warning "
    "says so") {
  MediaRequest request = request_of(pdf_bytes(std::vector<PdfPageSource>(10000, {kHello})));
  request.limits.max_pages = 5;
  const PdfText text = PdfFile(request).text();
  CHECK(text.page_count == 10000);
  CHECK(text.pages.size() == 5);
  REQUIRE(text.warnings.size() == 1);
  CHECK(text.warnings[0] == "a.pdf: 5 of 10000 pages are read, at most 5");
  request.limits.max_pages = 50;
  request.limits.max_text_bytes = 45;  // two pages hold 36
  const PdfText less = PdfFile(request).text();
  CHECK(less.pages.size() == 3);
  CHECK(less.pages[2].words.size() == 1);
  REQUIRE(less.warnings.size() == 1);
  CHECK(less.warnings[0] == "a.pdf: 3 of 10000 pages are read, at most 45 bytes of text");
}

TEST_CASE("what cannot be read is refused in one line") {
  const auto read = [](const std::string& bytes) { return PdfFile(request_of(bytes)).text(); };
  const std::string whole = pdf_bytes({{kHello}});
  CHECK_THROWS_MATCHES(read(pdf_bytes({{kHello}}, kEncrypted)), Error,
                       IsError(ErrorCode::kPermissionDenied,
                               "a.pdf: expected a PDF file that "
                               "opens without a password"));
  CHECK_THROWS_MATCHES(read(whole.substr(0, whole.size() / 2)), Error,
                       IsError(ErrorCode::kDataLoss, "a.pdf: expected a PDF file, its data"));
  CHECK_THROWS_MATCHES(read("%PDF-1.4\n"), Error, IsError(ErrorCode::kDataLoss, "a.pdf"));
  CHECK_THROWS_MATCHES(read(pdf_bytes({})), Error,
                       IsError(ErrorCode::kDataLoss, "a.pdf: expected pages"));
  CHECK_THROWS_MATCHES(read("plain text"), Error,
                       IsError(ErrorCode::kInvalidArgument, "a.pdf: expected a PDF file"));
  CHECK_THROWS_MATCHES(read(""), Error, IsError(ErrorCode::kInvalidArgument, "0 bytes"));
}

TEST_CASE("damage in the middle of a file costs no more than what it hits") {
  std::string bytes = pdf_bytes({{kHello}, {pdf_text("Second page", 20, 100)}});
  bytes.replace(bytes.find("Hello") - 40, 60, std::string(60, '#'));
  const PdfText text = PdfFile(request_of(bytes)).text();
  CHECK(text.page_count == 2);
  REQUIRE(!text.pages.empty());
  REQUIRE(text.pages.back().words.size() == 2);
  CHECK(text.pages.back().words[0].text == "Second");
}

TEST_CASE("a file that takes for ever is left when nobody waits any more") {
  const PdfFile file(request_of(pdf_bytes({{"/X0 Do\n"}}, "", endless_forms())));
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [start] { return std::chrono::steady_clock::now() - start; };
  const CancelScope scope(
      Cancellation().with([&] { return elapsed() > std::chrono::milliseconds(300); }));
  CHECK_THROWS_MATCHES(file.text(), Error, IsError(ErrorCode::kCancelled, ""));
  CHECK(elapsed() < std::chrono::seconds(5));
}

TEST_CASE("what the PDF reader says is not trusted") {
  const std::string size(reinterpret_cast<const char*>(std::array<float, 2>{0, 100}.data()), 8);
  CHECK(parse_pdf_page(3, size).number == 3);
  const PdfWord word{{-5, NAN, 50, 1e9F}, 7, 2};
  const std::string written = size + std::string(reinterpret_cast<const char*>(&word), sizeof word);
  const PdfPage page = parse_pdf_page(1, written + "ab");
  CHECK(page.words.at(0).text == "ab");
  CHECK(page.words[0].turn == 3);
  for (const float edge : page.words[0].box) CHECK((edge >= 0 && edge <= 1));
  for (size_t cut = 1; cut < written.size() + 2; ++cut) {
    if (cut == size.size()) continue;
    CHECK_THROWS_AS(parse_pdf_page(1, (written + "ab").substr(0, cut)), Error);
  }
}

}  // namespace lv
