#include "audio/transcribe/split_window.h"

#include <algorithm>

namespace lv::audio {
namespace {

/// All of `said` as one segment: from the window's start to its last timestamp, or to its end.
SaidSegment undivided(std::span<const int64_t> said, const Vocabulary& vocabulary,
                      double window_seconds) {
  SaidSegment all{0, window_seconds, {said.begin(), said.end()}};
  const auto last = std::find_if(said.rbegin(), said.rend(),
                                 [&](int64_t id) { return vocabulary.is_timestamp(id); });
  if (last != said.rend() && *last != vocabulary.first_timestamp()) {
    all.end_seconds = vocabulary.seconds(*last);
  }
  return all;
}

}  // namespace

SplitWindow split_window(std::span<const int64_t> said, const Vocabulary& vocabulary,
                         double window_seconds) {
  const auto timestamp = [&](size_t i) { return vocabulary.is_timestamp(said[i]); };
  std::vector<size_t> cuts;  // each segment's end
  for (size_t i = 1; i < said.size(); ++i) {
    if (timestamp(i - 1) && timestamp(i)) cuts.push_back(i);
  }
  SplitWindow split;
  split.next_seconds = window_seconds;
  if (cuts.empty()) {
    split.segments.push_back(undivided(said, vocabulary, window_seconds));
    return split;
  }
  const bool silence_follows = timestamp(said.size() - 1) && !timestamp(said.size() - 2);
  if (silence_follows) cuts.push_back(said.size());

  size_t from = 0;
  for (const size_t to : cuts) {
    const auto ids = said.subspan(from, to - from);
    split.segments.push_back(
        {vocabulary.is_timestamp(ids.front()) ? vocabulary.seconds(ids.front()) : 0,
         vocabulary.seconds(ids.back()),
         {ids.begin(), ids.end()}});
    from = to;
  }
  const double reached = split.segments.back().end_seconds;
  if (!silence_follows && reached > 0) split.next_seconds = std::min(reached, window_seconds);
  return split;
}

}  // namespace lv::audio
