#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pipeline/base/json.h"
#include "pipeline/base/registry.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/connectors/arranger.h"
#include "vision/encoders/picture_features.h"

namespace lv::vision {

/// Where pictures stand in their film, for connectors that were trained to know it.
struct FilmPlace {
  at::Tensor seconds = {};  // [P] float64, since the film's first picture; undefined for stills
  at::Tensor before = {};   // [n, Dv], features of the picture before them; undefined: none
  std::string view = {};    // the camera that took them; empty if nobody says
};

/// Turns an encoder's features into tokens of a language model's width, for each place of the grid
/// or for fewer. Immutable and thread-safe.
class Connector {
 public:
  virtual ~Connector() = default;
  /// Features of Dv in, features of D out, with the grid that is left. Throws kInvalidArgument on a
  /// grid or a width that it does not take.
  virtual PictureFeatures connect(const PictureFeatures& pictures) const = 0;
  /// The same of pictures that follow one another in a film, or of stills of a known view.
  virtual PictureFeatures connect_film(const PictureFeatures& pictures,
                                       const FilmPlace& /*place*/) const {
    return connect(pictures);
  }
  /// Whether it works on the grid's neighbourhoods; else it takes tokens that merged and left it.
  virtual bool needs_grid() const { return true; }
};
using ConnectorPtr = std::shared_ptr<const Connector>;

/// The table of trained connectors, by the architecture of the whole model: what sees here is what
/// stands in it. A factory gets the configuration of the whole, the place of the connector's
/// weights, and Dv.
const Registry<Connector, const Json&, const WeightScope&, int64_t>& connectors();

/// What joins an encoder to a language model.
struct ConnectorParts {
  ConnectorPtr connector;
  ArrangerPtr arranger;
};

/// Those of connector_part(), for an encoder of width `encoder_width`. Throws if the checkpoint
/// holds tensors that they do not read.
ConnectorParts make_connector_parts(const Checkpoint& checkpoint, int64_t encoder_width);

std::unique_ptr<Connector> make_as_is(const Json& config, const WeightScope& scope,
                                      int64_t encoder_width);
std::unique_ptr<Connector> make_mlp_connector(const Json& config, const WeightScope& scope,
                                              int64_t encoder_width);
std::unique_ptr<Connector> make_nano_connector(const Json& config, const WeightScope& scope,
                                               int64_t encoder_width);
std::unique_ptr<Connector> make_perceiver(const Json& config, const WeightScope& scope,
                                          int64_t encoder_width);
std::unique_ptr<Connector> make_pixel_shuffle(const Json& config, const WeightScope& scope,
                                              int64_t encoder_width);

}  // namespace lv::vision
