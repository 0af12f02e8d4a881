#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vision/read/page_cells.h"

namespace lv::services {

/// What is written on a page of a document, or on a picture.
struct ReadPage {
  int32_t source = 0;  // which of a request's files
  int32_t number = 0;  // from 1; 0 for a picture
  std::vector<vision::PageCell> cells;
};

/// The words of a text as they are compared: runs of letters and digits in lower case, without a
/// plural's s. Bytes beyond ASCII are letters.
std::vector<std::string> terms_of(const std::string& text);

/// How well each text answers a question, from the question's words in it: 0 if it has none.
///
/// Reference: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009,
/// equation 3.15, k1 = 1.2, b = 0.75. Differs: ln(1 + ...) for the inverse document frequency,
/// which is never negative.
std::vector<double> bm25(const std::string& question, const std::vector<std::string>& texts);

/// About how many tokens a text makes, rather too many: a digit, a mark or four letters are one.
int64_t about_tokens(const std::string& text);

/// Those rows of the pages that matter for a question, at most `most_tokens` in all: everything if
/// that fits; else runs of neighbouring rows, the best by bm25() first, as long as they have a word
/// of the question; the first rows if none has. Pages and rows keep their order; pages of which
/// nothing is left are dropped.
std::vector<ReadPage> most_telling(const std::vector<ReadPage>& pages, const std::string& question,
                                   int64_t most_tokens);

}  // namespace lv::services
