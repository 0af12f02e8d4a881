#include "vision/compressors/combiner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/base/registry.h"
#include "pipeline/nn/norm.h"
#include "vision/compressors/grouping.h"
#include "vision/compressors/multihead_attention.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

constexpr double kEps = 1e-5;

int64_t size_of(const Json& config, const char* key) {
  const int64_t size = config.at(key).as_int();
  check(size >= 1 && size <= 1 << 16, ErrorCode::kInvalidArgument,
        "combiner." + std::string(key) + ": expected 1 to 65536, got " + std::to_string(size));
  return size;
}

/// torch's TransformerEncoder with norms first and one behind the last layer.
class Encoder {
 public:
  Encoder(const WeightScope& scope, int64_t width, int64_t depth, int64_t heads)
      : norm_(scope / "norm", width, kEps) {
    check(width % heads == 0, ErrorCode::kInvalidArgument,
          "combiner.heads: expected a divisor of " + std::to_string(width) + ", got " +
              std::to_string(heads));
    for (int64_t i = 0; i < depth; ++i) layers_.emplace_back(scope / "layers" / i, width, heads);
  }

  /// [n, d] -> [n, d]
  at::Tensor operator()(at::Tensor x) const {
    for (const Layer& layer : layers_) {
      check_cancelled();
      const at::Tensor y = layer.norm1(x);
      x = x + layer.among(y, y);
      x = x + layer.linear2(at::gelu(layer.linear1(layer.norm2(x))));
    }
    return norm_(x);
  }

 private:
  struct Layer {
    Layer(const WeightScope& scope, int64_t width, int64_t heads)
        : norm1(scope / "norm1", width, kEps),
          norm2(scope / "norm2", width, kEps),
          among(scope / "self_attn", width, heads),
          linear1(scope / "linear1", width, scope.shape("linear1.weight").at(0)),
          linear2(scope / "linear2", scope.shape("linear1.weight").at(0), width) {}

    LayerNorm norm1, norm2;
    MultiheadAttention among;
    Linear linear1, linear2;
  };

  LayerNorm norm_;
  std::vector<Layer> layers_;
};

/// k means over tokens, weighted as an MLP finds each worth: [n, d] -> [k, d].
/// Reference: Ryoo et al., TokenLearner, NeurIPS 2021, arXiv 2106.11297.
class Selector {
 public:
  Selector(const WeightScope& scope, int64_t width)
      : hidden_(scope.shape("linear1.weight").at(0)),
        count_(scope.shape("linear2.weight").at(0)),
        linear1_(scope / "linear1", width, hidden_),
        linear2_(scope / "linear2", hidden_, count_) {}

  int64_t count() const { return count_; }

  at::Tensor operator()(const at::Tensor& tokens) const {
    return at::softmax(linear2_(at::gelu(linear1_(tokens))), 0).t().matmul(tokens);
  }

 private:
  int64_t hidden_, count_;
  Linear linear1_, linear2_;
};

}  // namespace

/// Tokens of one kind, brought to the combiner's width and marked with their places.
struct Combiner::Input {
  Input(const WeightScope& scope, std::string kind)
      : name(std::move(kind)),
        into(scope / "into", scope.shape("into.weight").at(1), scope.shape("into.weight").at(0)),
        places(scope.get("places", {-1, scope.shape("into.weight").at(0)})) {}

  at::Tensor operator()(const at::Tensor& tokens) const {
    const int64_t count = tokens.size(0);
    check(count <= places.size(0), ErrorCode::kInvalidArgument,
          "combiner: expected at most " + std::to_string(places.size(0)) + " tokens of " + name +
              " in a snippet, got " + std::to_string(count));
    return into(tokens.to(places.options())) + places.slice(0, 0, count);
  }

  std::string name;
  Linear into;
  at::Tensor places;  // [most, d]
};

/// What becomes of a snippet: x [n, d] and what those before it left to the rows it gives [m, d].
class Combiner::Form {
 public:
  virtual ~Form() = default;
  virtual at::Tensor operator()(const at::Tensor& x, at::Tensor& past) const = 0;
};

namespace {

/// The last rows that layers make of what the snippets before gave, and of this one.
class TransformerForm : public Combiner::Form {
 public:
  TransformerForm(const Json& config, const WeightScope& scope, int64_t width)
      : tokens_(size_of(config, "tokens")),
        encoder_(scope, width, size_of(config, "depth"), size_of(config, "heads")) {}

  at::Tensor operator()(const at::Tensor& x, at::Tensor& past) const override {
    const at::Tensor all = past.defined() ? at::cat({past, x}) : x;
    const at::Tensor out = encoder_(all).slice(0, -std::min(tokens_, x.size(0)));
    past = past.defined() ? at::cat({past, out}) : out;
    return out;
  }

 private:
  int64_t tokens_;
  Encoder encoder_;
};

/// A memory of fixed size is read with the snippet, and written: the work does not grow with time.
/// Reference: Ryoo et al., Token Turing Machines, CVPR 2023, arXiv 2211.09119, section 3. Differs:
/// the marks that tell memory from input are added for reading alone.
class TuringForm : public Combiner::Form {
 public:
  TuringForm(const Json& config, const WeightScope& scope, int64_t width)
      : tokens_(size_of(config, "tokens")),
        encoder_(scope, width, size_of(config, "depth"), size_of(config, "heads")),
        read_(scope / "read", width),
        write_(scope / "write", width),
        memory_(scope.get("memory", {write_.count(), width})),
        places_(scope.get("memory_places", {write_.count(), width})) {
    check(tokens_ <= read_.count(), ErrorCode::kInvalidArgument,
          "combiner.tokens: expected at most the " + std::to_string(read_.count()) +
              " that are read, got " + std::to_string(tokens_));
  }

  at::Tensor operator()(const at::Tensor& x, at::Tensor& past) const override {
    const at::Tensor memory = past.defined() ? past : memory_;
    const at::Tensor made = encoder_(read_(at::cat({memory + places_, x})));
    past = write_(at::cat({memory, made, x}));
    return made.slice(0, -std::min(tokens_, x.size(0)));
  }

 private:
  int64_t tokens_;
  Encoder encoder_;
  Selector read_, write_;
  at::Tensor memory_, places_;  // [p, d]
};

template <class Made>
std::unique_ptr<Combiner::Form> make_form(const Json& config, const WeightScope& scope,
                                          int64_t width) {
  return std::make_unique<Made>(config, scope, width);
}

const Registry<Combiner::Form, const Json&, const WeightScope&, int64_t>& forms() {
  static const Registry<Combiner::Form, const Json&, const WeightScope&, int64_t> all{
      "combiner.kind",
      {
          {"transformer", make_form<TransformerForm>},
          {"ttm", make_form<TuringForm>},
      }};
  return all;
}

}  // namespace

Combiner::Combiner(const Json& config, const WeightScope& scope)
    : snippet_seconds_(config.at("snippet_seconds").as_double()),
      video_width_(scope.shape("video.into.weight").at(1)),
      audio_width_(scope.shape("audio.into.weight").at(1)),
      video_(std::make_unique<const Input>(scope / "video", "video")),
      audio_(std::make_unique<const Input>(scope / "audio", "audio")) {
  check(snippet_seconds_ > 0 && snippet_seconds_ <= 3600, ErrorCode::kInvalidArgument,
        "combiner.snippet_seconds: expected more than 0, at most 3600, got " +
            std::to_string(snippet_seconds_));
  const int64_t width = video_->places.size(1);
  form_ = forms().make(config.at("kind").as_string(), config, scope, width);
  out_ = std::make_unique<const Linear>(scope / "out", width, video_width_);
}

Combiner::~Combiner() = default;

at::Tensor Combiner::operator()(const at::Tensor& video, const at::Tensor& audio,
                                at::Tensor& past) const {
  check_shape(video, "combiner: visual.features", {-1, video_width_});
  check_shape(audio, "combiner: audio.features", {-1, audio_width_});
  return (*out_)((*form_)(at::cat({(*audio_)(audio), (*video_)(video)}), past));
}

namespace {

/// The snippets of a clip, source by source.
class CombinerCompressor : public Compressor {
 public:
  CombinerCompressor(const Json& config, const WeightScope& scope) : combiner_(config, scope) {}

  VisualContext map(ClipTokens clip) const override {
    const auto begin = std::chrono::steady_clock::now();
    const VisualTokens& visual = clip.visual;
    const int64_t count = visual.features.size(0);
    if (count == 0) return compressed(std::move(clip.visual));
    const auto [snippets, snippet_of, counts] = at::unique_consecutive(
        snippets_at(visual.origin.pts_seconds) +
            at::bitwise_left_shift(visual.origin.source.to(at::kLong), kSourceShift),
        /*return_inverse=*/true, /*return_counts=*/true);
    const at::Tensor sources = at::bitwise_right_shift(snippets, kSourceShift);
    const Sound sound = sound_of(clip, at::equal(sources, sources[0].expand_as(sources)));

    std::vector<at::Tensor> rows;
    std::vector<int64_t> of;  // how many rows each snippet became
    double likeness = 0;
    at::Tensor past;
    for (int64_t i = 0, first = 0; i < snippets.size(0); ++i) {
      if (i > 0 && sources[i].item<int64_t>() != sources[i - 1].item<int64_t>())
        past = at::Tensor();
      const int64_t last = first + counts[i].item<int64_t>();
      const at::Tensor video = visual.features.slice(0, first, last);
      const at::Tensor heard = at::nonzero(sound.snippets == snippets[i]).flatten();
      rows.push_back(combiner_(
          video, sound.features.index_select(0, heard.to(sound.features.device())), past));
      of.push_back(rows.back().size(0));
      likeness += likeness_of(video, rows.back());
      first = last;
    }
    // Where and when a snippet was is said of each of its rows.
    const VisualTokens where = grouped(visual, {snippet_of, snippets.size(0)});
    const at::Tensor shares = at::tensor(of, at::kLong);
    const at::Tensor snippet = at::repeat_interleave(shares);
    CompressedTokens left;
    left.embeddings = at::cat(rows);
    left.sizes = (where.sizes / shares.to(where.sizes.device())).index_select(0, snippet);
    left.origin = select(where.origin, snippet);
    left.reports = visual.reports;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    left.reports.push_back({"combiner", 1, count, left.embeddings.size(0),
                            likeness / static_cast<double>(count), took.count()});
    return left;
  }

 private:
  static constexpr int64_t kSourceShift = 32;  // a source's number stands before its snippets'

  struct Sound {
    at::Tensor features;  // [M, Da]
    at::Tensor snippets;  // [M] int64
  };

  at::Tensor snippets_at(const at::Tensor& pts_seconds) const {
    return (pts_seconds / combiner_.snippet_seconds())
        .floor()
        .clamp(0, (int64_t{1} << kSourceShift) - 1)
        .to(at::kLong);
  }

  Sound sound_of(const ClipTokens& clip, bool one_source) const {
    if (!clip.audio || clip.audio->features.numel() == 0) {
      return {at::empty({0, combiner_.audio_width()}), at::empty({0}, at::kLong)};
    }
    check(one_source, ErrorCode::kInvalidArgument,
          "combiner: expected the sound of one source, got pictures of several");
    const at::Tensor source = clip.visual.origin.source[0].to(at::kLong);
    return {clip.audio->features,
            snippets_at(clip.audio->pts_seconds) + at::bitwise_left_shift(source, kSourceShift)};
  }

  /// The sum over tokens of the cosine to the likest row.
  static double likeness_of(const at::Tensor& tokens, const at::Tensor& rows) {
    const at::Tensor all = unit_rows(tokens.to(at::kFloat)), made = unit_rows(rows.to(at::kFloat));
    return all.matmul(made.t()).amax(1).sum().item<double>();
  }

  Combiner combiner_;
};

}  // namespace

std::unique_ptr<Compressor> make_combiner(const Checkpoint& part) {
  return std::make_unique<CombinerCompressor>(part.config().at("combiner"), part.root());
}

}  // namespace lv::vision
