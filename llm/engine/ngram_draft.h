#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace lv::llm {

/// Guesses how a text goes on from where its last tokens stood before: documents, transcripts and
/// code repeat themselves (prompt lookup decoding; LLMA, arXiv 2304.04487, section 3). Costs no
/// model, and a wrong guess costs only the rows that were read for it.
class NgramDraft {
 public:
  /// The text so far goes on with these tokens.
  void observe(const std::vector<int64_t>& ids);

  /// At most `count` tokens that followed when the last four, three or two tokens stood together
  /// most recently; none if they never did.
  std::vector<int64_t> propose(int64_t count) const;

 private:
  static constexpr size_t kShortest = 2;
  static constexpr size_t kLongest = 4;

  uint64_t hash_of(size_t end, size_t size) const;

  std::vector<int64_t> text_;
  std::unordered_map<uint64_t, size_t> ends_;  // of n-grams before the last token
};

}  // namespace lv::llm
