#include "vision/read/still_reading.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "pipeline/base/check_shape.h"

namespace lv::vision {
namespace {

constexpr int kThumbnailWidth = 320;
constexpr int kEdge = 120;     // a Sobel gradient this steep may be the rim of a letter
constexpr int kSameGrey = 16;  // levels that compression may move a pixel that holds still
constexpr double kMinStillShare = 2e-3;  // of a picture's pixels, on edges that hold still
constexpr int kTilesAcross = 16;
constexpr int kMinTileEdges = 12;  // that a tile must have to tell anything
constexpr double kSamePart = 0.5;  // of the edges of a region that still shows the same
constexpr int kMaxReadings = 64;   // of one film, which bounds the time

/// A frame made small, and where its edges are.
struct Thumbnail {
  cv::Mat grey;   // uint8
  cv::Mat edges;  // 255 on an edge
};

Thumbnail thumbnail_of(const at::Tensor& frame) {
  const at::Tensor dense = frame.cpu().contiguous();
  const cv::Mat rgb(static_cast<int>(dense.size(0)), static_cast<int>(dense.size(1)), CV_8UC3,
                    const_cast<uint8_t*>(dense.const_data_ptr<uint8_t>()));
  const double scale = std::min(1.0, static_cast<double>(kThumbnailWidth) / rgb.cols);
  const cv::Size size(std::max(1, cvRound(rgb.cols * scale)),
                      std::max(1, cvRound(rgb.rows * scale)));
  Thumbnail made;
  cv::Mat small, across, down;
  cv::resize(rgb, small, size, 0, 0, cv::INTER_AREA);
  cv::cvtColor(small, made.grey, cv::COLOR_RGB2GRAY);
  cv::Sobel(made.grey, across, CV_16S, 1, 0);
  cv::Sobel(made.grey, down, CV_16S, 0, 1);
  made.edges = (cv::abs(across) + cv::abs(down)) > kEdge;
  return made;
}

std::vector<cv::Rect> tiles_of(cv::Size size) {
  const int side = std::max(1, size.width / kTilesAcross);
  std::vector<cv::Rect> tiles;
  for (int y = 0; y < size.height; y += side) {
    for (int x = 0; x < size.width; x += side) {
      tiles.push_back(cv::Rect(x, y, side, side) & cv::Rect({0, 0}, size));
    }
  }
  return tiles;
}

/// The edges that are in both pictures at the same place and of the same grey, in tiles where that
/// is most of them: some edges of what moves fall together by chance.
cv::Mat still_edges(const Thumbnail& before, const Thumbnail& now) {
  cv::Mat difference;
  cv::absdiff(before.grey, now.grey, difference);
  cv::Mat still = before.edges & now.edges & (difference < kSameGrey);
  for (const cv::Rect& tile : tiles_of(still.size())) {
    const int edges = cv::countNonZero(now.edges(tile));
    if (cv::countNonZero(still(tile)) < kSamePart * edges) still(tile) = 0;
  }
  return still;
}

/// Whether some tile holds edges in `now` that are not in `before`.
bool shows_more(const cv::Mat& now, const cv::Mat& before) {
  if (now.size() != before.size()) return true;
  const std::vector<cv::Rect> tiles = tiles_of(now.size());
  return std::any_of(tiles.begin(), tiles.end(), [&](const cv::Rect& tile) {
    const int edges = cv::countNonZero(now(tile));
    return edges >= kMinTileEdges && cv::countNonZero(now(tile) & before(tile)) < kSamePart * edges;
  });
}

cv::Rect pixels_of(const std::array<float, 4>& box, cv::Size size) {
  const cv::Point low(static_cast<int>(box[0] * size.width),
                      static_cast<int>(box[1] * size.height));
  const cv::Point high(static_cast<int>(std::ceil(box[2] * size.width)),
                       static_cast<int>(std::ceil(box[3] * size.height)));
  return cv::Rect(low, high) & cv::Rect({0, 0}, size);
}

std::string letters_only(const std::string& text) {
  std::string letters;
  for (const unsigned char c : text) {
    if (c >= 0x80 || std::isalnum(c) != 0) letters += static_cast<char>(std::tolower(c));
  }
  return letters;
}

std::string digits_only(const std::string& text) {
  std::string digits;
  for (const unsigned char c : text) {
    if (std::isdigit(c) != 0) digits += static_cast<char>(c);
  }
  return digits;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

/// Text that is on the screen now.
struct Standing {
  ScreenText item;
  double confidence = 0;
};

class StillReadingOf : public StillReading {
 public:
  explicit StillReadingOf(const TextReader& reader) : reader_(reader) {}

  void add(const FrameBatch& batch) override {
    check_shape(batch.pixels, "frames.pixels", {-1, -1, -1, 3});
    check_dtype(batch.pixels, "frames.pixels", at::kByte);
    check_shape(batch.pts_seconds, "frames.pts_seconds", {batch.pixels.size(0)});
    if (batch.pixels.numel() == 0) return;
    const at::Tensor pixels = batch.pixels.cpu();
    for (int64_t t = 0; t < pixels.size(0); ++t) {
      add_frame(pixels[t], batch.pts_seconds[t].item<double>());
    }
  }

  std::vector<ScreenText> finish() override {
    // A picture by itself holds still by nature.
    if (frames_ == 1) stand(reader_.read(first_), previous_pts_, previous_pts_);
    for (Standing& standing : standing_) done_.push_back(std::move(standing.item));
    standing_.clear();
    std::stable_sort(done_.begin(), done_.end(), [](const auto& a, const auto& b) {
      return a.start_seconds < b.start_seconds;
    });
    return std::move(done_);
  }

 private:
  void add_frame(const at::Tensor& frame, double pts) {
    Thumbnail now = thumbnail_of(frame);
    const bool comparable = previous_ && previous_->grey.size() == now.grey.size();
    const cv::Mat still = comparable ? still_edges(*previous_, now) : cv::Mat();
    const double share =
        comparable ? cv::countNonZero(still) / static_cast<double>(still.total()) : 0;
    if (share < kMinStillShare) {
      leave();
    } else if (shows_more(still, read_at_)) {
      // What holds still was there a frame ago, too.
      if (readings_++ < kMaxReadings) stand(reader_.read(frame), previous_pts_, pts);
      read_at_ = still;
    } else {
      go_on(still, pts);
    }
    first_ = frames_++ == 0 ? frame : at::Tensor();
    previous_ = std::move(now);
    previous_pts_ = pts;
  }

  /// What was read goes on if it stood before, starts if it did not; what is gone ends.
  void stand(const std::vector<TextLine>& lines, double since, double until) {
    std::vector<Standing> next;
    for (const TextLine& line : lines) {
      const auto before = std::find_if(standing_.begin(), standing_.end(), [&](const auto& old) {
        return same_text(old.item.text, line.text);
      });
      if (before == standing_.end()) {
        next.push_back({{since, until, line.text, line.box}, line.confidence});
        continue;
      }
      before->item.end_seconds = until;
      if (line.confidence > before->confidence) {
        before->item.text = line.text;
        before->item.box = line.box;
        before->confidence = line.confidence;
      }
      next.push_back(std::move(*before));
      standing_.erase(before);
    }
    leave();
    standing_ = std::move(next);
  }

  /// Text whose edges are still there stands until `pts`; other text has gone.
  void go_on(const cv::Mat& still, double pts) {
    std::vector<Standing> staying;
    for (Standing& standing : standing_) {
      const cv::Rect place = pixels_of(standing.item.box, still.size());
      const int edges = cv::countNonZero(read_at_(place));
      if (cv::countNonZero(read_at_(place) & still(place)) >= kSamePart * edges) {
        standing.item.end_seconds = pts;
        staying.push_back(std::move(standing));
      } else {
        read_at_(place) = 0;
        done_.push_back(std::move(standing.item));
      }
    }
    standing_ = std::move(staying);
  }

  void leave() {
    for (Standing& standing : standing_) done_.push_back(std::move(standing.item));
    standing_.clear();
    read_at_ = cv::Mat();
  }

  const TextReader& reader_;
  std::optional<Thumbnail> previous_;
  double previous_pts_ = 0;
  at::Tensor first_;  // the only frame so far
  int64_t frames_ = 0;
  int readings_ = 0;
  cv::Mat read_at_;  // the edges that held still at the last reading
  std::vector<Standing> standing_;
  std::vector<ScreenText> done_;
};

}  // namespace

bool same_text(const std::string& a, const std::string& b) {
  const std::string x = letters_only(a), y = letters_only(b);
  if (digits_only(a) != digits_only(b)) return false;
  return x == y || edit_distance(x, y) * 5 <= std::min(x.size(), y.size());
}

std::unique_ptr<StillReading> make_still_reading(const TextReader& reader) {
  return std::make_unique<StillReadingOf>(reader);
}

}  // namespace lv::vision
