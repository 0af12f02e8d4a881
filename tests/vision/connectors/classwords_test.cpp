#include "vision/connectors/classwords.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

Linear head_of(const at::Tensor& weight) { return {WeightMatrix(weight), at::Tensor()}; }

TEST_CASE("classwords mixes the words of the classes by their probabilities") {
  // Logits (0, ln 3): probabilities a quarter and three quarters.
  const ClassWords connector(head_of(at::tensor({0.f, std::log(3.f)}).view({2, 1})),
                             at::tensor({4.f, 0.f, 0.f, 8.f}).view({2, 2}));
  const PictureFeatures mixed = connector.connect({at::ones({1, 2, 1}), {1, 1}, 1});
  CHECK_THAT(mixed.features, CloseTo(at::tensor({1.f, 6.f, 1.f, 6.f}).view({1, 2, 2})));
  CHECK(mixed.grid.rows == 1);
  CHECK(mixed.whole == 1);
}

TEST_CASE("classwords with a high temperature tends to the mean of all words") {
  const at::Tensor words = lcg_tensor(1, {5, 3});
  const ClassWords connector(head_of(lcg_tensor(2, {5, 4})), words, 1e6);
  CHECK_THAT(connector.connect({lcg_tensor(3, {2, 7, 4}), {7, 1}}).features,
             CloseTo(words.mean(0).expand({2, 7, 3}), 1e-4, 1e-5));
}

TEST_CASE("classwords refuses words that do not fit the classes") {
  CHECK_THROWS_AS(ClassWords(head_of(at::ones({3, 2})), at::ones({4, 2})), Error);
  CHECK_THROWS_AS(ClassWords(head_of(at::ones({3, 2})), at::ones({3})), Error);
  CHECK_THROWS_AS(ClassWords(head_of(at::ones({3, 2})), at::ones({3, 2}), 0), Error);
}

TEST_CASE("class names are read line by line") {
  TemporaryFolder folder;
  write_file(folder / "names", "cat\ngreat white shark\n");
  CHECK(read_class_names(folder / "names") == std::vector<std::string>{"cat", "great white shark"});
  write_file(folder / "hole", "cat\n\ndog\n");
  CHECK_THROWS_AS(read_class_names(folder / "hole"), Error);
  CHECK_THROWS_AS(read_class_names(folder / "absent"), Error);
}

}  // namespace
}  // namespace lv::vision
