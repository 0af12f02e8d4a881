#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/nn/linear.h"
#include "vision/connectors/connector.h"

namespace lv::vision {

/// A connector that nobody trained: each place becomes the mean of the language model's own
/// embeddings of the class names, weighted by the probability of each class there. It can say
/// nothing that the classes do not name; it stands in until a trained connector is there.
///
/// The idea of convex combinations of word embeddings is Norouzi et al., Zero-Shot Learning by
/// Convex Combination of Semantic Embeddings, ICLR 2014. Differs: every class takes part, at every
/// place of the feature map.
class ClassWords : public Connector {
 public:
  /// `head` gives class logits; `words` is [classes, D], row c the embedding of class c's name.
  /// A temperature above 1 spreads the probabilities.
  /// Throws kInvalidArgument if the class counts differ or the temperature is not positive.
  ClassWords(Linear head, at::Tensor words, double temperature = 1);

  PictureFeatures connect(const PictureFeatures& pictures) const override;
  bool needs_grid() const override { return false; }

 private:
  Linear head_;
  at::Tensor words_;  // [classes, D]
  double temperature_;
};

/// One class name a line, in the order of the classifier's outputs. Throws kNotFound if there is no
/// such file, kInvalidArgument on an empty line.
std::vector<std::string> read_class_names(const std::string& path);

}  // namespace lv::vision
