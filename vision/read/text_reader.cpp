#include "vision/read/text_reader.h"

#include <ATen/ATen.h>
#include <tesseract/baseapi.h>
#include <tesseract/ocrclass.h>
#include <tesseract/resultiterator.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/read/still_reading.h"

namespace lv::vision {
namespace {

constexpr float kMinConfidence = 60;       // of a word, in Tesseract's percent
constexpr float kMinConfidenceShort = 80;  // of a line of fewer than kShortLine letters
constexpr int kShortLine = 4;
constexpr int kGoodSide = 720;       // shorter side in pixels at which print on a screen reads well
constexpr int kMaxSide = 1600;       // longer side that is read, which bounds the time
constexpr int kGoodPageSide = 1240;  // likewise of pages, whose print is smaller: A4 at 150 dpi
constexpr int kMaxPageSide = 2340;   // likewise
constexpr double kTrustedShare = 0.6;  // of a page's letters, if it is read the right way up
constexpr int kTrustedLetters = 8;     // that make this sure
constexpr double kMaxScale = 3;
constexpr int kAssumedDpi = 150;

struct Word {
  std::string text;
  float confidence;
};

/// Letters and digits; every byte of a character beyond ASCII counts as a part of a letter.
int letters_of(const std::string& text) {
  return static_cast<int>(std::count_if(
      text.begin(), text.end(), [](unsigned char c) { return c >= 0x80 || std::isalnum(c) != 0; }));
}

/// Whether a run of characters could be a word or a number, and not what texture looks like.
bool is_word(const std::string& text) {
  const int letters = letters_of(text);
  if (letters == 0 || 2 * letters < static_cast<int>(text.size())) return false;
  int longest_run = 1, run = 1;
  for (size_t i = 1; i < text.size(); ++i) {
    run = text[i] == text[i - 1] && std::isdigit(static_cast<unsigned char>(text[i])) == 0 ? run + 1
                                                                                           : 1;
    longest_run = std::max(longest_run, run);
  }
  return longest_run < 4;
}

std::optional<Word> word_at(const tesseract::ResultIterator& at) {
  const std::unique_ptr<char[]> text(at.GetUTF8Text(tesseract::RIL_WORD));
  if (!text) return std::nullopt;
  Word word{text.get(), at.Confidence(tesseract::RIL_WORD)};
  if (word.confidence < kMinConfidence || !is_word(word.text)) return std::nullopt;
  return word;
}

std::optional<cv::Rect> box_at(const tesseract::ResultIterator& at) {
  int left = 0, top = 0, right = 0, bottom = 0;
  if (!at.BoundingBox(tesseract::RIL_WORD, &left, &top, &right, &bottom)) return std::nullopt;
  return cv::Rect(cv::Point(left, top), cv::Point(right, bottom));
}

/// Quarter turns clockwise that the word is written at, from where its baseline leads: layout
/// analysis finds lines that run down or up, too.
int turn_at(const tesseract::ResultIterator& at) {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  if (!at.Baseline(tesseract::RIL_WORD, &x0, &y0, &x1, &y1)) return 0;
  const int across = x1 - x0, down = y1 - y0;
  if (std::abs(across) >= std::abs(down)) return across >= 0 ? 0 : 2;
  return down > 0 ? 1 : 3;
}

std::array<float, 4> fractions(const cv::Rect& box, cv::Size size) {
  const auto x = [&](int pixel) { return static_cast<float>(pixel) / size.width; };
  const auto y = [&](int pixel) { return static_cast<float>(pixel) / size.height; };
  return {x(box.x), y(box.y), x(box.x + box.width), y(box.y + box.height)};
}

/// Collects the words of a line while the iterator runs over it.
class LineBuilder {
 public:
  void add(const Word& word, const cv::Rect& box) {
    text_ += (text_.empty() ? "" : " ") + word.text;
    confidence_ += word.confidence;
    box_ = words_ == 0 ? box : (box_ | box);
    ++words_;
  }

  /// The line if it can be trusted, and starts the next.
  std::optional<TextLine> finish(cv::Size size) {
    const LineBuilder line = *this;
    *this = {};
    if (line.words_ == 0) return std::nullopt;
    const float mean = line.confidence_ / static_cast<float>(line.words_);
    const int letters = letters_of(line.text_);
    if (letters < 2 || (letters < kShortLine && mean < kMinConfidenceShort)) return std::nullopt;
    return TextLine{line.text_, fractions(line.box_, size), mean / 100};
  }

 private:
  std::string text_;
  float confidence_ = 0;
  int words_ = 0;
  cv::Rect box_;
};

/// What was recognised, line by line.
std::vector<TextLine> lines_of(tesseract::TessBaseAPI& api, cv::Size size) {
  std::vector<TextLine> lines;
  LineBuilder line;
  const auto close_line = [&] {
    if (auto done = line.finish(size)) lines.push_back(std::move(*done));
  };
  const std::unique_ptr<tesseract::ResultIterator> at(api.GetIterator());
  if (!at || at->Empty(tesseract::RIL_WORD)) return lines;
  do {
    if (at->IsAtBeginningOf(tesseract::RIL_TEXTLINE)) close_line();
    const auto word = word_at(*at);
    const auto box = box_at(*at);
    if (word && box) line.add(*word, *box);
  } while (at->Next(tesseract::RIL_WORD));
  close_line();
  return lines;
}

/// What was recognised of a page.
struct PageReading {
  std::vector<PageWord> words;  // those that can be trusted
  int trusted_letters = 0;
  int letters = 0;  // of all that was taken for a word

  bool convinces() const {
    return trusted_letters >= kTrustedLetters && trusted_letters >= kTrustedShare * letters;
  }
};

PageReading page_of(tesseract::TessBaseAPI& api, cv::Size size) {
  PageReading page;
  const std::unique_ptr<tesseract::ResultIterator> at(api.GetIterator());
  if (!at || at->Empty(tesseract::RIL_WORD)) return page;
  do {
    const std::unique_ptr<char[]> text(at->GetUTF8Text(tesseract::RIL_WORD));
    if (text) page.letters += letters_of(text.get());
    const auto word = word_at(*at);
    const auto box = box_at(*at);
    if (!word || !box) continue;
    page.trusted_letters += letters_of(word->text);
    page.words.push_back({word->text, fractions(*box, size), turn_at(*at)});
  } while (at->Next(tesseract::RIL_WORD));
  return page;
}

/// Words of a page that was turned back by `turn` quarters, where they stand on the page itself.
void turn_words(std::vector<PageWord>& words, int turn) {
  for (PageWord& word : words) {
    word.turn = (word.turn + turn) % 4;
    for (int i = 0; i < turn; ++i) {  // a quarter clockwise
      const auto [x0, y0, x1, y1] = word.box;
      word.box = {1 - y1, x0, 1 - y0, x1};
    }
  }
}

/// The page turned counterclockwise by `turn` quarters.
cv::Mat turned_back(const cv::Mat& grey, int turn) {
  constexpr int kBack[] = {0, cv::ROTATE_90_COUNTERCLOCKWISE, cv::ROTATE_180,
                           cv::ROTATE_90_CLOCKWISE};
  if (turn == 0) return grey;
  cv::Mat turned;
  cv::rotate(grey, turned, kBack[turn]);
  return turned;
}

/// From top to bottom, and from left to right where lines stand side by side.
void sort_for_reading(std::vector<TextLine>& lines) {
  const auto middle = [](const TextLine& line) { return (line.box[1] + line.box[3]) / 2; };
  std::stable_sort(lines.begin(), lines.end(),
                   [&](const auto& a, const auto& b) { return middle(a) < middle(b); });
  for (size_t first = 0; first < lines.size();) {
    size_t last = first + 1;
    while (last < lines.size() && middle(lines[last]) < lines[first].box[3]) ++last;
    std::stable_sort(lines.begin() + static_cast<int64_t>(first),
                     lines.begin() + static_cast<int64_t>(last),
                     [](const auto& a, const auto& b) { return a.box[0] < b.box[0]; });
    first = last;
  }
}

/// The picture in grey, large enough to read and not larger than that pays: its shorter side is
/// `good_side` unless the longer one would be over `most_side`.
cv::Mat readable(const at::Tensor& pixels, int good_side, int most_side) {
  const cv::Mat rgb(static_cast<int>(pixels.size(0)), static_cast<int>(pixels.size(1)), CV_8UC3,
                    const_cast<uint8_t*>(pixels.const_data_ptr<uint8_t>()));
  cv::Mat grey;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  double scale = std::min(kMaxScale, static_cast<double>(good_side) / std::min(rgb.rows, rgb.cols));
  scale = std::max(scale, 1.0);
  scale = std::min(scale, static_cast<double>(most_side) / std::max(rgb.rows, rgb.cols));
  if (scale == 1.0) return grey;
  cv::Mat scaled;
  const cv::Size size(std::max(1, cvRound(rgb.cols * scale)),
                      std::max(1, cvRound(rgb.rows * scale)));
  cv::resize(grey, scaled, size, 0, 0, scale > 1 ? cv::INTER_CUBIC : cv::INTER_AREA);
  return scaled;
}

void check_picture(const at::Tensor& pixels) {
  check_shape(pixels, "picture", {-1, -1, 3});
  check_dtype(pixels, "picture", at::kByte);
  check(pixels.numel() > 0 && pixels.size(0) <= 32768 && pixels.size(1) <= 32768,
        ErrorCode::kInvalidArgument,
        "picture: expected sides of 1 to 32768 pixels, got " + shape_text(pixels.sizes()));
}

}  // namespace

/// One recogniser that all threads take turns with: it holds tens of megabytes.
struct TextReader::Engine {
  std::mutex turn;
  tesseract::TessBaseAPI api;

  /// What `collect(api, size)` makes of the recognised picture; nothing if that failed.
  template <class Collect>
  auto recognised(const cv::Mat& grey, tesseract::PageSegMode mode, Collect collect) {
    decltype(collect(api, grey.size())) found{};
    api.SetPageSegMode(mode);
    api.SetImage(grey.data, grey.cols, grey.rows, 1, static_cast<int>(grey.step));
    api.SetSourceResolution(kAssumedDpi);
    tesseract::ETEXT_DESC monitor;
    monitor.cancel = [](void*, int) { return Cancellation::current().requested(); };
    if (api.Recognize(&monitor) == 0) found = collect(api, grey.size());
    api.Clear();
    check_cancelled();
    return found;
  }
};

TextReader::TextReader(const std::string& language) : engine_(std::make_unique<Engine>()) {
  const bool plain = !language.empty() && std::all_of(language.begin(), language.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '+';
  });
  check(plain, ErrorCode::kInvalidArgument,
        "text reader: expected a language like eng, got '" + language + "'");
  const std::vector<std::string> names{"debug_file"}, values{"/dev/null"};
  const int failed = engine_->api.Init(nullptr, language.c_str(), tesseract::OEM_LSTM_ONLY, nullptr,
                                       0, &names, &values, false);
  check(failed == 0, ErrorCode::kFailedPrecondition,
        "text reader: Tesseract's data for '" + language +
            "' is not installed (Debian package tesseract-ocr-" + language + ")");
}

TextReader::~TextReader() = default;

std::vector<TextLine> TextReader::read(const at::Tensor& pixels) const {
  check_picture(pixels);
  const cv::Mat grey = readable(pixels.cpu().contiguous(), kGoodSide, kMaxSide);
  const std::lock_guard lock(engine_->turn);
  // Layout analysis finds lines over texture that the sparse mode loses, and the other way round.
  std::vector<TextLine> lines = engine_->recognised(grey, tesseract::PSM_AUTO, lines_of);
  if (lines.empty()) lines = engine_->recognised(grey, tesseract::PSM_SPARSE_TEXT, lines_of);
  sort_for_reading(lines);
  return lines;
}

std::vector<PageWord> TextReader::read_page(const at::Tensor& pixels) const {
  check_picture(pixels);
  const cv::Mat grey = readable(pixels.cpu().contiguous(), kGoodPageSide, kMaxPageSide);
  const std::lock_guard lock(engine_->turn);
  PageReading best;
  for (const int turn : {0, 1, 3, 2}) {
    PageReading page = engine_->recognised(turned_back(grey, turn), tesseract::PSM_AUTO, page_of);
    if (page.trusted_letters > best.trusted_letters) {
      turn_words(page.words, turn);
      best = std::move(page);
    }
    if (best.convinces()) break;
  }
  return std::move(best.words);
}

std::unique_ptr<StillReading> TextReader::start() const { return make_still_reading(*this); }

}  // namespace lv::vision
