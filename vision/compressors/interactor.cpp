#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "vision/compressors/decoder_layer.h"
#include "vision/compressors/grouping.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

constexpr int64_t kHeads = 8;
constexpr double kNothing = 1e-12;  // a token shorter than this is like nothing

/// Reads chosen tokens and all tokens of all views. Reads the weights of a compressor_part().
class Reader {
 public:
  explicit Reader(const WeightScope& scope)
      : width_(scope.shape("into.weight").at(0)),
        into_(scope / "into", scope.shape("into.weight").at(1), width_),
        out_(scope / "out", width_, scope.shape("into.weight").at(1)) {
    // What training alone computes with.
    scope.get("slope", {});
    scope.get("offset", {});
    const WeightScope layers = scope / "decoder" / "layers";
    for (int64_t i = 0; layers.has_child(std::to_string(i)); ++i) {
      layers_.emplace_back(layers / i, width_, kHeads, DecoderLayer::Norms::kBehind, at::relu);
    }
  }

  int64_t token_width() const { return shape_of(into_.weight())[1]; }

  /// [k, D], [M, D] -> [k, D]
  at::Tensor operator()(const at::Tensor& chosen, const at::Tensor& all) const {
    const at::Tensor seen = into_(all);
    at::Tensor x = into_(chosen);
    for (const DecoderLayer& layer : layers_) {
      check_cancelled();
      x = layer(x, seen);
    }
    return chosen + out_(x);
  }

 private:
  int64_t width_;
  Linear into_, out_;
  std::vector<DecoderLayer> layers_;
};

/// [M]: the largest cosine of each token [M, D] with a token of the question [q, D].
at::Tensor relevance(const at::Tensor& tokens, const at::Tensor& question) {
  const at::Tensor lost = tokens.norm(2, {1}) < kNothing;
  const at::Tensor words =
      question.index_select(0, at::nonzero(question.norm(2, {1}) >= kNothing).flatten());
  if (words.size(0) == 0) return at::full({tokens.size(0)}, -1, tokens.options());
  return unit_rows(tokens).matmul(unit_rows(words).t()).amax(1).masked_fill(lost, -1);
}

/// Of each view the share of its tokens that is most similar to the question, having read all
/// tokens of all views.
/// Reference: World knowledge-enhanced reasoning using instruction-guided interactor in autonomous
/// driving, AAAI 2025, arXiv 2412.06324. Differs: a share of each view instead of a fixed number; a
/// narrow decoder whose result is added; as models/nano/recipe, model/interactor.py.
class Interactor : public AskedCompressor {
 public:
  Interactor(std::shared_ptr<const Reader> reader, double keep)
      : reader_(std::move(reader)), keep_(keep) {
    check(keep_ > 0 && keep_ <= 1, ErrorCode::kInvalidArgument,
          "interactor.keep: expected more than 0, at most 1, got " + std::to_string(keep_));
  }

  CompressorPtr with(Params params) const override {
    const double keep = params.get("keep", keep_);
    params.done("interactor");
    return std::make_shared<Interactor>(reader_, keep);
  }

  VisualContext map(ClipTokens clip) const override {
    const auto begin = std::chrono::steady_clock::now();
    const VisualTokens& visual = clip.visual;
    check(clip.question.has_value(), ErrorCode::kFailedPrecondition,
          "interactor: expected a question that says what to look for, got none");
    check_shape(*clip.question, "question", {-1, reader_->token_width()});
    check_shape(visual.features, "visual.features", {-1, reader_->token_width()});
    const at::Tensor all = visual.features.to(at::kFloat);
    const at::Tensor scores = relevance(all, clip.question->to(at::kFloat));
    const at::Tensor rows = best_of_views(visual.origin.source, scores);
    CompressedTokens left;
    left.embeddings =
        rows.size(0) > 0 ? (*reader_)(all.index_select(0, rows), all) : all.index_select(0, rows);
    left.sizes = at::ones({rows.size(0)});
    left.origin = select(visual.origin, rows);
    left.reports = visual.reports;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    left.reports.push_back({"interactor", keep_, all.size(0), rows.size(0),
                            likeness(all, all.index_select(0, rows)), took.count()});
    return left;
  }

 private:
  /// The rows of each source that score best, in order.
  at::Tensor best_of_views(const at::Tensor& source, const at::Tensor& scores) const {
    std::vector<at::Tensor> chosen{at::empty({0}, at::kLong)};
    for (const at::Tensor& view : std::get<0>(at::_unique(source)).unbind()) {
      const at::Tensor rows = at::nonzero(source == view).flatten();
      const auto count = std::max<int64_t>(
          1, static_cast<int64_t>(keep_ * static_cast<double>(rows.size(0)) + 1e-9));
      const at::Tensor order =
          at::argsort(scores.index_select(0, rows), /*stable=*/true, 0, /*descending=*/true);
      const at::Tensor best = std::get<0>(order.slice(0, 0, count).sort());
      chosen.push_back(rows.index_select(0, best));
    }
    return at::cat(chosen);
  }

  /// The mean cosine of each token to the likest one that was chosen.
  static double likeness(const at::Tensor& all, const at::Tensor& chosen) {
    if (all.size(0) == 0) return 1;
    return unit_rows(all).matmul(unit_rows(chosen).t()).amax(1).mean().item<double>();
  }

  std::shared_ptr<const Reader> reader_;
  double keep_;
};

}  // namespace

std::unique_ptr<Compressor> make_interactor(const Checkpoint& part) {
  constexpr double kUsualKeep = 0.5;
  return std::make_unique<Interactor>(std::make_shared<const Reader>(part.root()), kUsualKeep);
}

}  // namespace lv::vision
