#include "vision/encoders/encode_stage.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::vision {
namespace {

/// Hands on the left half of a picture, as it is.
class LeftHalf : public ImageProcessor {
 public:
  ProcessedPicture process(const at::Tensor& picture) const override {
    const at::Tensor half = picture.slice(1, 0, picture.size(1) / 2);
    return {half.permute({2, 0, 1}).to(at::kFloat).unsqueeze(0),
            at::tensor({0.f, 0.f, 0.5f, 1.f}).unsqueeze(0),
            {}};
  }
};

/// Two rows and two columns of mean colours, named by a head of three classes.
class MeanColours : public ImageEncoder {
 public:
  MeanColours() : head_(WeightMatrix(at::eye(3) * 10), at::Tensor()) {}
  PictureFeatures encode(const at::Tensor& pixels) const override {
    return {at::adaptive_avg_pool2d(pixels, {2, 2}).flatten(2).transpose(1, 2), {2, 2}};
  }
  int64_t width() const override { return 3; }
  const Linear* class_head() const override { return &head_; }

 private:
  Linear head_;
};

EncodeParts parts() {
  return {
      std::make_shared<LeftHalf>(), nullptr, std::make_shared<MeanColours>(), nullptr, nullptr, {}};
}

FrameBatch frames(int64_t count) {
  FrameBatch batch;
  batch.pixels = at::zeros({count, 4, 8, 3}, at::kByte);
  for (int64_t t = 0; t < count; ++t) batch.pixels[t].select(-1, t % 3).fill_(t + 1);
  batch.pts_seconds = at::arange(count, at::kDouble) * 0.5;
  return batch;
}

std::vector<VisualTokens> run(const EncodeParts& made_of, EncodeOptions options, FrameBatch batch) {
  const auto stage = make_encode(made_of, options);
  const auto source = stage->start(source_of_one(std::move(batch)));
  return collect(*source);
}

TEST_CASE("encoding packs the cells of every frame with their origin") {
  const auto out = run(parts(), {}, frames(2));
  REQUIRE(out.size() == 1);
  const VisualTokens& tokens = out[0];
  CHECK_NOTHROW(validate(tokens));
  CHECK(at::equal(tokens.offsets, at::tensor({0, 4, 8}, at::kInt)));
  REQUIRE(tokens.grids.size() == 2);
  CHECK(tokens.grids[1].rows == 2);
  CHECK(at::equal(tokens.features[5], at::tensor({0.f, 2.f, 0.f})));
  CHECK(at::equal(tokens.origin.pts_seconds,
                  at::tensor({0., 0., 0., 0., .5, .5, .5, .5}, at::kDouble)));
  CHECK(at::equal(tokens.origin.source, at::zeros({8}, at::kInt)));
  CHECK(at::equal(tokens.origin.flags, at::full({8}, kObserved, at::kByte)));
  // Cells of the left half: second of the first row, first of the second.
  CHECK_THAT(tokens.origin.box[1], CloseTo(at::tensor({0.25f, 0.f, 0.5f, 0.5f})));
  CHECK_THAT(tokens.origin.box[2], CloseTo(at::tensor({0.f, 0.5f, 0.25f, 1.f})));
  CHECK(tokens.labels.empty());
}

TEST_CASE("encoding a long batch comes out in parts that join to the whole") {
  EncodeOptions small;
  small.max_frames = 2;
  EncodeOptions large;
  large.max_frames = 100;
  EncodeParts named = parts();
  named.class_names = {"red", "green", "blue"};
  const auto pieces = run(named, small, frames(5));
  CHECK(pieces.size() == 3);
  const VisualTokens all = joined(pieces), whole = run(named, large, frames(5)).at(0);
  CHECK_NOTHROW(validate(all));
  CHECK(at::equal(all.features, whole.features));
  CHECK(at::equal(all.offsets, whole.offsets));
  CHECK(at::equal(all.origin.pts_seconds, whole.origin.pts_seconds));
  CHECK(at::equal(all.origin.box, whole.origin.box));
  REQUIRE(all.labels.size() == whole.labels.size());
  for (size_t i = 0; i < all.labels.size(); ++i) {
    CHECK(all.labels[i].picture == whole.labels[i].picture);
    CHECK(all.labels[i].name == whole.labels[i].name);
  }
}

TEST_CASE("encoding names each picture by its likeliest classes") {
  EncodeParts named = parts();
  named.class_names = {"red", "green", "blue"};
  const VisualTokens tokens = run(named, {}, frames(3)).at(0);
  REQUIRE(tokens.labels.size() == 3);
  CHECK(tokens.labels[0].name == "red");
  CHECK(tokens.labels[1].name == "green");
  CHECK(tokens.labels[1].picture == 1);
  CHECK(tokens.labels[2].probability == Approx(1));
}

/// Tells, for each picture, the mean colour that the picture before had, its seconds and its view.
class Telling : public Connector {
 public:
  PictureFeatures connect(const PictureFeatures& pictures) const override { return pictures; }
  PictureFeatures connect_film(const PictureFeatures& pictures,
                               const FilmPlace& place) const override {
    PictureFeatures told = pictures;
    const int64_t count = pictures.features.size(0);
    const at::Tensor none = at::full({1, 4, 3}, -1.0);
    const at::Tensor before = at::cat({place.before.defined() ? place.before.unsqueeze(0) : none,
                                       pictures.features.slice(0, 0, count - 1)});
    const at::Tensor seconds =
        place.seconds.defined() ? place.seconds.to(at::kFloat) : at::full({count}, -1.0);
    const at::Tensor view = at::full({count, 4, 1}, static_cast<double>(place.view.size()));
    told.features =
        at::cat({before.amax(2, true), seconds.view({-1, 1, 1}).expand({-1, 4, 1}), view}, 2);
    return told;
  }
};

TEST_CASE("connectors are told where in its film and in which view a picture stands") {
  EncodeParts telling = parts();
  telling.connector = std::make_shared<Telling>();
  FrameBatch film = frames(5);
  film.pts_seconds = film.pts_seconds + 7;
  film.media.kind = MediaKind::kVideo;
  film.view = "rear";
  EncodeOptions options;
  options.max_frames = 2;
  FrameBatch other = film, still = frames(1), page = frames(1);
  other.source = 1;
  still.source = 2;
  page.source = 3;
  page.media.kind = MediaKind::kDocument;
  std::vector<FrameBatch> batches{film, other, still, page};
  const VisualTokens told =
      joined(collect(*make_encode(telling, options)->start(source_of(std::move(batches)))));
  const at::Tensor first = told.features.view({12, 4, 3}).select(1, 0);
  // The film's second picture knows the first, and so on across calls; the other film begins anew.
  const at::Tensor before = at::tensor({-1.f, 1.f, 2.f, 3.f, 4.f}), lone = at::tensor({-1.f});
  CHECK_THAT(first.select(1, 0), CloseTo(at::cat({before, before, lone, lone})));
  const at::Tensor seconds = at::tensor({0.f, .5f, 1.f, 1.5f, 2.f});
  CHECK_THAT(first.select(1, 1), CloseTo(at::cat({seconds, seconds, lone, lone})));
  // "rear", nothing, "page".
  CHECK(first[0][2].item<float>() == 4);
  CHECK(first[10][2].item<float>() == 0);
  CHECK(first[11][2].item<float>() == 4);
}

/// A film's frames as they are; stills in two tiles and the whole.
class TwoTiles : public ImageProcessor {
 public:
  ProcessedPicture process(const at::Tensor& picture) const override {
    const at::Tensor pixels = picture.permute({2, 0, 1}).to(at::kFloat);
    const int64_t half = picture.size(1) / 2;
    const at::Tensor left = pixels.slice(2, 0, half), right = pixels.slice(2, half);
    return {at::stack({left, right, (left + right) / 2}),
            at::tensor({0.f, 0.f, .5f, 1.f, .5f, 0.f, 1.f, 1.f, 0.f, 0.f, 1.f, 1.f}).view({3, 4}),
            {1, 2}};
  }
};

/// The mean of each row of the grid, and before them the mean of all.
class RowMeans : public Connector {
 public:
  PictureFeatures connect(const PictureFeatures& pictures) const override {
    const at::Tensor rows = pictures.features.unflatten(1, {pictures.grid.rows, -1}).mean(2);
    return {at::cat({rows.mean(1, true), rows}, 1), {pictures.grid.rows, 1}, 1};
  }
};

TEST_CASE("encoding tells tiles, and boxes of what the connector leaves") {
  EncodeParts tiled = parts();
  tiled.film_processor = tiled.processor;
  tiled.processor = std::make_shared<TwoTiles>();
  tiled.connector = std::make_shared<RowMeans>();
  const VisualTokens still = run(tiled, {}, frames(1)).at(0);
  CHECK_NOTHROW(validate(still));
  CHECK(at::equal(still.offsets, at::tensor({0, 3, 6, 9}, at::kInt)));
  CHECK(still.grids.at(2).rows == 2);
  CHECK(still.grids.at(2).columns == 1);
  CHECK(at::equal(still.origin.tile.slice(0, 0, 9, 3),
                  at::tensor({1, 1, 1, 2, 0, 0}, at::kInt).view({3, 2})));
  // Of the second tile: all of it, then its upper and its lower half.
  CHECK(at::equal(
      still.origin.box.slice(0, 3, 6),
      at::tensor({.5f, 0.f, 1.f, 1.f, .5f, 0.f, 1.f, .5f, .5f, .5f, 1.f, 1.f}).view({3, 4})));
  FrameBatch film = frames(1);
  film.media.kind = MediaKind::kVideo;
  const VisualTokens frame = run(tiled, {}, film).at(0);
  CHECK(at::equal(frame.origin.tile, at::zeros({3, 2}, at::kInt)));
}

/// Tells how many pictures its set has: as many pixels of that value.
class SetSize : public ImageProcessor {
 public:
  ProcessedPicture process(const at::Tensor&) const override { return of(0); }
  bool regards_set() const override { return true; }
  ProcessedPicture process_in_set(const at::Tensor& picture, const std::vector<PictureSize>& sizes,
                                  size_t index) const override {
    CHECK(sizes.at(index).height == picture.size(0));
    CHECK(sizes.at(index).width == picture.size(1));
    return of(static_cast<double>(sizes.size()));
  }

 private:
  static ProcessedPicture of(double value) {
    return {at::full({1, 3, 2, 2}, value, at::kFloat),
            at::tensor({0.f, 0.f, 1.f, 1.f}).view({1, 4}),
            {}};
  }
};

/// Two stills of different sizes, of sources 0 and 2, around a film of source 1.
std::vector<FrameBatch> stills_and_film() {
  std::vector<FrameBatch> all;
  for (int32_t source = 0; source < 3; ++source) {
    all.push_back(frames(source == 1 ? 2 : 1));
    all.back().source = source;
    all.back().media.kind = source == 1 ? MediaKind::kVideo : MediaKind::kPicture;
  }
  all[2].pixels = at::zeros({1, 6, 2, 3}, at::kByte);
  return all;
}

TEST_CASE("stills of a run are one set where the processor regards one, whatever is between them") {
  EncodeParts sets = parts();
  sets.film_processor = sets.processor;
  sets.processor = std::make_shared<SetSize>();
  const auto stage = make_encode(sets);
  const auto source = stage->start(source_of(stills_and_film()));
  const std::vector<VisualTokens> out = collect(*source);
  REQUIRE(out.size() == 3);
  CHECK(at::equal(out[0].origin.source, at::full({8}, 1, at::kInt)));
  CHECK(at::equal(out[1].origin.source, at::full({4}, 0, at::kInt)));
  CHECK(at::equal(out[2].origin.source, at::full({4}, 2, at::kInt)));
  CHECK(at::equal(out[1].features, at::full({4, 3}, 2.f)));
  CHECK_FALSE(source->next());
  // Without regard to the others they come as they are read.
  const auto regardless = make_encode(parts());
  const auto streamed = regardless->start(source_of(stills_and_film()));
  CHECK(streamed->next()->origin.source[0].item<int32_t>() == 0);
  CHECK(streamed->next()->origin.source[0].item<int32_t>() == 1);
}

TEST_CASE("a set that is too large is refused") {
  EncodeParts sets = parts();
  sets.processor = std::make_shared<SetSize>();
  EncodeOptions few;
  few.max_set_pictures = 1;
  CHECK_THROWS_MATCHES(collect(*make_encode(sets, few)->start(source_of(stills_and_film()))), Error,
                       IsError(ErrorCode::kResourceExhausted,
                               "pictures: expected at most 1 that are read together"));
  EncodeOptions small;
  small.max_set_pixels = 32 + 11;
  CHECK_THROWS_AS(collect(*make_encode(sets, small)->start(source_of(stills_and_film()))), Error);
  small.max_set_pixels = 32 + 12;
  CHECK_NOTHROW(collect(*make_encode(sets, small)->start(source_of(stills_and_film()))));
}

/// A newline after each film.
class Newline : public Arranger {
 public:
  ArrangedPicture still(const PictureFeatures& features, const CutPicture& cut) const override {
    return make_apart()->still(features, cut);
  }
  ArrangedPicture frame(const PictureFeatures& features, const CutPicture& cut) const override {
    return make_apart()->frame(features, cut);
  }
  at::Tensor after_film() const override { return at::full({1, 3}, -1.f); }
};

TEST_CASE("what follows a film comes before the next source") {
  EncodeParts films = parts();
  films.arranger = std::make_shared<Newline>();
  std::vector<FrameBatch> batches = stills_and_film();
  batches[0].media.kind = MediaKind::kVideo;
  std::vector<int32_t> sources;
  std::vector<bool> newline;
  for (const VisualTokens& each :
       collect(*make_encode(films)->start(source_of(std::move(batches))))) {
    sources.push_back(each.origin.source[0].item<int32_t>());
    newline.push_back(each.features[0][0].item<float>() == -1);
  }
  CHECK(sources == std::vector<int32_t>{0, 0, 1, 1, 2});
  CHECK(newline == std::vector<bool>{false, true, false, true, false});
}

/// A picture in two sizes: the upper half of its rows, then all of it.
class TwoSizes : public ImageProcessor {
 public:
  ProcessedPicture process(const at::Tensor& picture) const override {
    const at::Tensor pixels = picture.permute({2, 0, 1}).to(at::kFloat);
    at::Tensor both = at::stack({pixels, pixels});
    const int64_t half = picture.size(0) / 2;
    both[0].slice(1, half).fill_(99);
    return {both,
            at::tensor({0.f, 0.f, 1.f, .5f, 0.f, 0.f, 1.f, 1.f}).view({2, 4}),
            {1, 1},
            {{half, picture.size(1)}, {picture.size(0), picture.size(1)}}};
  }
};

TEST_CASE("pictures of several sizes are encoded without what fills them up") {
  EncodeParts sized = parts();
  sized.processor = std::make_shared<TwoSizes>();
  const VisualTokens tokens = run(sized, {}, frames(2)).at(0);
  CHECK_NOTHROW(validate(tokens));
  CHECK(at::equal(tokens.offsets, at::tensor({0, 4, 8, 12, 16}, at::kInt)));
  CHECK(at::equal(tokens.features[0], at::tensor({1.f, 0.f, 0.f})));
  CHECK(at::equal(tokens.features[8], at::tensor({0.f, 2.f, 0.f})));
}

TEST_CASE("encoding nothing gives nothing") {
  CHECK(run(parts(), {}, frames(0)).empty());
  const auto stage = make_encode(parts());
  const auto source = stage->start(source_of(std::vector<FrameBatch>{}));
  CHECK_FALSE(source->next());
  CHECK_FALSE(source->next());
}

TEST_CASE("encoding refuses parts and frames that do not fit") {
  EncodeParts wrong = parts();
  wrong.class_names = {"red", "green"};
  CHECK_THROWS_AS(make_encode(wrong), Error);
  wrong = parts();
  wrong.encoder = nullptr;
  CHECK_THROWS_AS(make_encode(wrong), Error);
  EncodeOptions none;
  none.max_frames = -1;
  CHECK_THROWS_AS(make_encode(parts(), none), Error);
  FrameBatch grey = frames(1);
  grey.pixels = grey.pixels.select(-1, 0);
  CHECK_THROWS_AS(run(parts(), {}, grey), Error);
  CHECK_THROWS_AS(joined(std::vector<VisualTokens>{}), Error);
}

}  // namespace
}  // namespace lv::vision
