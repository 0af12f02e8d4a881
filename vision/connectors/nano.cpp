#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "vision/connectors/connector.h"

namespace lv::vision {
namespace {

constexpr double kEps = 1e-5;       // of the layer norm
constexpr double kSlowest = 0.125;  // turns a second of the slowest wave of time
constexpr double kStep = 1.7;       // of a wave's speed to that of the one before

std::vector<std::string> views_of(const Json& config) {
  std::vector<std::string> views;
  for (const Json& view : config.at("views").as_array()) views.push_back(view.as_string());
  return views;
}

int64_t rows_of(const WeightScope& scope, const char* name) { return scope.shape(name).at(0); }

/// nano's: what the eyes see in a place and how it changed since the picture before, and what the
/// classifier names there through the language model's embeddings of the names; then where the
/// place is: row, column, seconds since the first picture, camera.
/// Reference: models/nano/recipe, model/connector.py.
class NanoConnector : public Connector {
 public:
  /// Beside its own weights it reads `words` [classes, D], the embeddings of the class names, and
  /// the classifier's head.
  NanoConnector(const Json& config, const WeightScope& scope, int64_t encoder_width)
      : cell_width_(rows_of(scope / "norm", "weight") / 2),
        width_(rows_of(scope, "gain")),
        norm_(scope / "norm", 2 * cell_width_, kEps),
        wide_(scope / "wide", 2 * cell_width_, rows_of(scope / "wide", "weight")),
        narrow_(scope / "narrow", rows_of(scope / "wide", "weight"), width_),
        head_(scope / "head", encoder_width - cell_width_, rows_of(scope / "head", "weight")),
        words_(scope.get("words", {rows_of(scope / "head", "weight"), width_})),
        named_(scope / "named", width_, width_),
        gain_(scope.get("gain", {width_})),
        rows_(scope.get("rows", {-1, width_})),
        columns_(scope.get("columns", {-1, width_})),
        view_names_(views_of(config)),
        views_(scope.get("views", {static_cast<int64_t>(view_names_.size()), width_})),
        waves_(scope.shape("time.weight").at(1) / 2),
        time_(scope / "time", 2 * waves_, width_) {
    // Adding up classes' words makes no more of them than one word is.
    words_ = words_ / words_.square().mean().sqrt();
  }

  PictureFeatures connect(const PictureFeatures& pictures) const override {
    return connect_film(pictures, {});
  }

  PictureFeatures connect_film(const PictureFeatures& pictures,
                               const FilmPlace& place) const override {
    const PatchGrid grid = pictures.grid;
    check_shape(pictures.features, "features",
                {-1, static_cast<int64_t>(grid.rows) * grid.columns, -1});
    check(grid.rows <= rows_.size(0) && grid.columns <= columns_.size(0),
          ErrorCode::kInvalidArgument,
          "picture: expected at most " + shape_text({rows_.size(0), columns_.size(0)}) +
              " places, got " + shape_text({grid.rows, grid.columns}));
    const at::Tensor all = pictures.features.to(gain_.options());
    const at::Tensor cells = all.slice(2, 0, cell_width_);
    at::Tensor x = at::cat({cells, change(cells, place)}, 2);
    x = narrow_(at::gelu(wide_(norm_(x))));
    x = x + named_(at::softmax(head_(all.slice(2, cell_width_)), -1).matmul(words_));
    x = at::rms_norm(x, {width_}) * gain_;
    const at::Tensor places =
        rows_.slice(0, 0, grid.rows).unsqueeze(1) + columns_.slice(0, 0, grid.columns);
    PictureFeatures connected = pictures;
    connected.features = x + places.flatten(0, 1) + views_[view_number(place.view)] +
                         time_(waves_at(place, x)).unsqueeze(1);
    return connected;
  }

 private:
  /// What differs from the picture before; nothing where there is none, as in stills.
  at::Tensor change(const at::Tensor& cells, const FilmPlace& place) const {
    if (!place.seconds.defined()) return at::zeros_like(cells);
    at::Tensor first = cells.slice(0, 0, 1);
    if (place.before.defined() && place.before.size(0) == cells.size(1)) {
      first = place.before.to(cells.options()).slice(1, 0, cell_width_).unsqueeze(0);
    }
    return cells - at::cat({first, cells.slice(0, 0, -1)});
  }

  /// Sines and cosines of the time of each picture, [P, 2 waves].
  at::Tensor waves_at(const FilmPlace& place, const at::Tensor& pictures) const {
    const at::Tensor seconds = place.seconds.defined()
                                   ? place.seconds.to(gain_.options())
                                   : at::zeros({pictures.size(0)}, gain_.options());
    const at::Tensor speeds =
        2 * M_PI * kSlowest *
        at::pow(at::full({}, kStep, gain_.options()), at::arange(waves_, gain_.options()));
    const at::Tensor angles = seconds.unsqueeze(1) * speeds;
    return at::cat({angles.sin(), angles.cos()}, 1);
  }

  int64_t view_number(const std::string& view) const {
    if (view.empty()) return 0;
    const auto found = std::ranges::find(view_names_, view);
    check(found != view_names_.end(), ErrorCode::kInvalidArgument,
          "view '" + view + "': expected one of " + joined_text(view_names_));
    return found - view_names_.begin();
  }

  int64_t cell_width_, width_;
  LayerNorm norm_;
  Linear wide_, narrow_, head_;
  at::Tensor words_;  // [classes, D], of root mean square 1
  Linear named_;
  at::Tensor gain_, rows_, columns_;
  std::vector<std::string> view_names_;
  at::Tensor views_;
  int64_t waves_;
  Linear time_;
};

}  // namespace

std::unique_ptr<Connector> make_nano_connector(const Json& config, const WeightScope& scope,
                                               int64_t encoder_width) {
  return std::make_unique<NanoConnector>(config, scope, encoder_width);
}

}  // namespace lv::vision
