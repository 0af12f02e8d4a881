#include "vision/compressors/films.h"

#include <ATen/ATen.h>

#include "pipeline/base/cancellation.h"

namespace lv::vision {
namespace {

/// What the first token of each picture says of it.
struct Pictures {
  at::Tensor offsets, pts, source, tile;  // on the CPU

  explicit Pictures(const VisualTokens& tokens)
      : offsets(tokens.offsets.cpu().contiguous()),
        pts(tokens.origin.pts_seconds.cpu().contiguous()),
        source(tokens.origin.source.cpu().contiguous()),
        tile(tokens.origin.tile.cpu().contiguous()) {}

  int64_t first(int64_t p) const { return offsets.const_data_ptr<int32_t>()[p]; }
  int64_t count(int64_t p) const { return first(p + 1) - first(p); }

  /// Whether picture `b`, which has tokens, may be the frame after picture `a`.
  bool follows(int64_t a, int64_t b) const {
    const int64_t i = first(a), j = first(b);
    const int32_t* tiles = tile.const_data_ptr<int32_t>();
    const int32_t* sources = source.const_data_ptr<int32_t>();
    const double* times = pts.const_data_ptr<double>();
    return count(a) == count(b) && sources[i] == sources[j] && times[i] < times[j] &&
           tiles[2 * i] == tiles[2 * j] && tiles[2 * i + 1] == tiles[2 * j + 1];
  }
};

}  // namespace

std::vector<Film> films_of(const VisualTokens& tokens) {
  const Pictures pictures(tokens);
  std::vector<Film> films;
  int64_t last = -1;  // picture of the film that is open
  for (int64_t p = 0; p < static_cast<int64_t>(tokens.grids.size()); ++p) {
    if (pictures.count(p) == 0) continue;
    const auto& grid = tokens.grids[static_cast<size_t>(p)];
    const auto alike = [&](const PatchGrid& other) {
      return grid.rows == other.rows && grid.columns == other.columns;
    };
    if (last >= 0 && alike(tokens.grids[static_cast<size_t>(last)]) && pictures.follows(last, p)) {
      ++films.back().frames;
    } else {
      films.push_back({pictures.first(p), 1, pictures.count(p), grid});
    }
    last = p;
  }
  return films;
}

VisualTokens reduce_films(const VisualTokens& tokens, const char* method, double keep,
                          const std::function<ReducedFilm(const FilmTokens&)>& reduce) {
  const auto begin = std::chrono::steady_clock::now();
  Grouping all{at::empty_like(tokens.origin.source, at::kLong), 0};
  all.dropped = at::zeros_like(all.row_of, at::kBool);
  std::vector<at::Tensor> features, places;
  for (const Film& film : films_of(tokens)) {
    check_cancelled();
    const int64_t last = film.first + film.frames * film.tokens;
    const auto frames = [&](const at::Tensor& rows) {
      return rows.slice(0, film.first, last).unflatten(0, {film.frames, film.tokens});
    };
    const ReducedFilm left =
        reduce({frames(tokens.features).to(at::kFloat),
                tokens.saliency.defined() ? frames(tokens.saliency) : at::Tensor(), film.grid});
    features.push_back(left.features.to(tokens.features.scalar_type()));
    places.push_back(left.grouping.place + film.first);
    all.row_of.slice(0, film.first, last).copy_(left.grouping.row_of + all.count);
    all.dropped.slice(0, film.first, last).copy_(left.grouping.dropped);
    all.count += left.grouping.count;
  }
  if (!features.empty()) all.place = at::cat(places);
  const at::Tensor rows = features.empty() ? tokens.features : at::cat(features);
  return reported(grouped(tokens, all, rows), method, keep, tokens, all, begin);
}

ReducedFilm whole_film(const at::Tensor& features) {
  FilmRows rows(features.size(0), features.size(1), features);
  const at::Tensor all =
      at::arange(features.size(0) * features.size(1), features.options().dtype(at::kLong));
  rows.add(features.flatten(0, 1), all);
  rows.assign(all, all);
  return rows.in_order();
}

FilmRows::FilmRows(int64_t frames, int64_t tokens, const at::Tensor& like)
    : row_of_(at::zeros({frames * tokens}, like.options().dtype(at::kLong))),
      dropped_(at::zeros({frames * tokens}, like.options().dtype(at::kBool))) {}

int64_t FilmRows::add(const at::Tensor& features, const at::Tensor& place) {
  const int64_t first = count_;
  features_.push_back(features);
  places_.push_back(place);
  count_ += features.size(0);
  return first;
}

void FilmRows::assign(const at::Tensor& which, const at::Tensor& row) {
  row_of_.index_copy_(0, which, row);
  dropped_.index_fill_(0, which, false);
}

void FilmRows::drop(const at::Tensor& which, const at::Tensor& row) {
  row_of_.index_copy_(0, which, row);
  dropped_.index_fill_(0, which, true);
}

ReducedFilm FilmRows::in_order() const {
  return {{row_of_, count_, at::cat(places_), dropped_}, at::cat(features_)};
}

ReducedFilm FilmRows::by_place() const {
  const ReducedFilm found = in_order();
  const at::Tensor order = found.grouping.place.argsort();  // the old row of each new one
  return {{order.argsort().index_select(0, row_of_), count_,
           found.grouping.place.index_select(0, order), dropped_},
          found.features.index_select(0, order)};
}

}  // namespace lv::vision
