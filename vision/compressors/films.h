#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "pipeline/types/visual_tokens.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {

/// Consecutive pictures of one source with as many tokens each, at rising times: what methods for
/// films look at together. A still is a film of one frame.
struct Film {
  int64_t first = 0;    // row
  int64_t frames = 0;   // F
  int64_t tokens = 0;   // N of each
  PatchGrid grid = {};  // of each; 0 x 0 if it lost tokens
};

/// Every token's film, in order.
std::vector<Film> films_of(const VisualTokens& tokens);

/// What is left of a film of F frames of N tokens.
struct ReducedFilm {
  Grouping grouping;    // of F * N tokens
  at::Tensor features;  // [grouping.count, D] float32
};

/// The tokens of a film, frame by frame.
struct FilmTokens {
  at::Tensor features;  // [F, N, D] float32
  at::Tensor saliency;  // [F, N]; undefined if the tokens have none
  PatchGrid grid;       // as the film's
};

/// Puts together what `reduce` leaves of each film. `method`, `keep`: for the report.
VisualTokens reduce_films(const VisualTokens& tokens, const char* method, double keep,
                          const std::function<ReducedFilm(const FilmTokens&)>& reduce);

/// The film as it is.
ReducedFilm whole_film(const at::Tensor& features);

/// Rows of a film, as they are found.
class FilmRows {
 public:
  /// Of F frames of N tokens.
  FilmRows(int64_t frames, int64_t tokens, const at::Tensor& like);

  /// A row for each of `features` [k, D], standing at tokens `place` [k]; gives the first's number.
  int64_t add(const at::Tensor& features, const at::Tensor& place);
  /// Tokens `which` [n] are in rows `row` [n].
  void assign(const at::Tensor& which, const at::Tensor& row);
  /// They are in those rows' sizes alone.
  void drop(const at::Tensor& which, const at::Tensor& row);

  /// All rows in the order in which they were added, or in the order of their places.
  ReducedFilm in_order() const;
  ReducedFilm by_place() const;

 private:
  std::vector<at::Tensor> features_, places_;
  at::Tensor row_of_, dropped_;
  int64_t count_ = 0;
};

}  // namespace lv::vision
