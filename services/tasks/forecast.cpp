#include "services/tasks/forecast.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/shrinking.h"
#include "services/tasks/stage_clock.h"
#include "services/tasks/visual_plan.h"
#include "vision/decode/decode.h"
#include "vision/decode/sampling.h"
#include "vision/encoders/encode_stage.h"

namespace lv::services {
namespace {

/// Shares that are planned with, as options.
const std::vector<std::string> kKeepTexts{"1", "0.5", "0.25", "0.1", "0.05"};
const std::vector<double> kKeeps{1, 0.5, 0.25, 0.1, 0.05};
/// Of pictures, as parts of their longest side.
constexpr double kSizes[] = {1, 0.75, 0.5, 0.25};

/// The tokens of a source's one frame, and what follows its last frame.
struct Sample {
  std::vector<VisualTokens> frame, after;
};

int64_t rows_of(const std::vector<VisualTokens>& parts) {
  int64_t rows = 0;
  for (const VisualTokens& part : parts) rows += part.features.size(0);
  return rows;
}

bool is_film(const MediaInfo& media) { return media.kind == MediaKind::kVideo; }

/// How many frames a rule asks for of a film.
int64_t frames_of(const SamplingRule& rule, vision::TimeRange range, const MediaRequest& request) {
  Warnings warnings(request.name);
  if (const auto* paced = std::get_if<PacedFrames>(&rule)) {
    const auto wanted = static_cast<int64_t>((range.end - range.begin) * paced->rate);
    return std::min({std::max(wanted - wanted % paced->multiple, paced->least), paced->most,
                     request.limits.max_frames});
  }
  return std::visit(
      [&](const auto& one) -> int64_t {
        if constexpr (requires { vision::times_of(one, range, request.limits, warnings); }) {
          return static_cast<int64_t>(
              vision::times_of(one, range, request.limits, warnings).size());
        } else {
          throw Error(ErrorCode::kInvalidArgument,
                      request.name +
                          ": headers do not tell how many key frames or scenes there are; expected "
                          "frames evenly spread, so many a second, or at given times");
        }
      },
      rule);
}

int64_t frames_asked(const MediaRequest& request, const MediaInfo& media, const Stages& stages) {
  if (!is_film(media)) return 1;
  const Sampling& sampling = request.sampling;
  const double end = std::min({sampling.end_seconds.value_or(media.duration_seconds),
                               media.duration_seconds, request.limits.max_seconds});
  const vision::TimeRange range{sampling.start_seconds, std::max(end, sampling.start_seconds)};
  return std::max<int64_t>(1, frames_of(stages.films.chosen(sampling.rule), range, request));
}

/// The ceiling that a source breaks by itself; empty for none.
std::string refusal_of(const MediaRequest& request, const MediaInfo& media) {
  const int64_t pixels = static_cast<int64_t>(media.width) * media.height;
  if (media.kind == MediaKind::kAudio || pixels == 0) return request.name + ": no pictures";
  if (pixels > request.limits.max_picture_pixels) {
    return request.name + ": pictures of " + std::to_string(media.width) + " x " +
           std::to_string(media.height) + ", more than " +
           std::to_string(request.limits.max_picture_pixels) + " pixels";
  }
  return {};
}

/// What encoding one black frame of each source gives.
std::vector<Sample> samples_of(const std::vector<SourceForecast>& sources, const Stages& stages,
                               const std::vector<CompressionSpec>& specs) {
  std::vector<FrameBatch> batches;
  for (size_t i = 0; i < sources.size(); ++i) {
    FrameBatch batch;
    batch.media = sources[i].media;
    const auto [height, width] =
        shrunk_sides(batch.media.height, batch.media.width, sources[i].longest_side);
    batch.pixels = at::zeros({1, height, width, 3}, at::kByte);
    batch.pts_seconds = at::zeros({1}, at::kDouble);
    batch.source = static_cast<int32_t>(i);
    batch.film_frames = sources[i].frames;
    batches.push_back(std::move(batch));
  }
  std::vector<Sample> samples(sources.size());
  const auto stage = stages.encode(specs);
  const auto encoded = stage->start(source_of(std::move(batches)));
  while (auto part = encoded->next()) {
    if (part->features.size(0) == 0) continue;
    const auto source = static_cast<size_t>(part->origin.source[0].item<int32_t>());
    Sample& sample = samples.at(source);
    const bool after = is_film(sources[source].media) && !sample.frame.empty();
    (after ? sample.after : sample.frame).push_back(std::move(*part));
  }
  return samples;
}

/// Noise in the shape of these tokens, shown at some time: nothing in it is alike.
VisualTokens noise_like(VisualTokens tokens, double pts_seconds) {
  const int64_t rows = tokens.features.size(0), width = tokens.features.size(1);
  const at::Tensor numbers = at::arange(rows * width, at::kDouble) + pts_seconds * 7919.0;
  tokens.features = (numbers * 12.9898)
                        .sin()
                        .mul(43758.5453)
                        .frac()
                        .view({rows, width})
                        .to(tokens.features.scalar_type());
  tokens.saliency = (at::arange(rows, at::kDouble) * 78.233).sin().abs().to(at::kFloat);
  tokens.origin.pts_seconds = at::full({rows}, pts_seconds, at::kDouble);
  return tokens;
}

/// How many tokens are left of each source.
std::vector<int64_t> left_of(std::vector<VisualTokens> parts, size_t sources, const Stages& stages,
                             const std::vector<CompressionSpec>& specs) {
  std::vector<int64_t> left(sources, 0);
  if (parts.empty()) return left;
  const auto stage = stages.compress(specs);
  const auto source =
      stage->start(source_of_one(ClipTokens{vision::joined(parts), std::nullopt, std::nullopt}));
  const std::optional<VisualContext> context = source->next();
  const auto* tokens = context ? std::get_if<CompressedTokens>(&*context) : nullptr;
  if (tokens == nullptr) return left;  // weights to wear
  const at::Tensor counts = at::bincount(tokens->origin.source.cpu(), {}, left.size());
  for (size_t i = 0; i < sources; ++i) left[i] = counts[static_cast<int64_t>(i)].item<int64_t>();
  return left;
}

std::vector<VisualTokens> film_of(const Sample& sample, int64_t frames) {
  std::vector<VisualTokens> parts;
  for (int64_t f = 0; f < frames; ++f) {
    for (const VisualTokens& part : sample.frame) {
      parts.push_back(noise_like(part, static_cast<double>(f)));
    }
  }
  for (const VisualTokens& part : sample.after) {
    parts.push_back(noise_like(part, static_cast<double>(frames - 1)));
  }
  return parts;
}

/// What there is to choose from: a frame's tokens of each source at each size and share.
struct Choices {
  CompressionSpec spec;
  std::vector<SourceCost> costs;
  std::vector<std::vector<int64_t>> longest_sides;  // of each source, by size; 0: as it is
};

int64_t shrunk_to(const MediaInfo& media, double part) {
  const auto longest = static_cast<double>(std::max(media.width, media.height));
  return part == 1 ? 0 : std::max<int64_t>(1, std::llround(longest * part));
}

/// Adds to each source what one frame of it leaves at each share, with all of them of these sizes;
/// nothing to those whose tokens get no fewer that way.
void add_sizes(const std::vector<SourceForecast>& films, const Stages& stages, Choices& choices) {
  std::vector<PictureCost> costs(films.size());
  CompressionSpec spec = choices.spec;
  for (const std::string& keep : kKeepTexts) {
    spec.params["keep"] = keep;
    const std::vector<Sample> samples = samples_of(films, stages, {spec});
    std::vector<VisualTokens> frames, after;
    for (const Sample& sample : samples) {
      for (const VisualTokens& part : sample.frame) frames.push_back(noise_like(part, 0));
      for (const VisualTokens& part : sample.after) after.push_back(noise_like(part, 0));
    }
    const std::vector<int64_t> of_frame = left_of(frames, films.size(), stages, {spec});
    const std::vector<int64_t> of_after = left_of(after, films.size(), stages, {spec});
    bool fewer = false;
    for (size_t i = 0; i < films.size(); ++i) {
      costs[i].frame.push_back(of_frame[i]);
      costs[i].after.push_back(of_after[i]);
      const auto& sizes = choices.costs[i].sizes;
      fewer = fewer || sizes.empty() || costs[i].frame[0] < sizes.back().frame[0];
    }
    if (!fewer) return;
  }
  for (size_t i = 0; i < films.size(); ++i) {
    auto& sizes = choices.costs[i].sizes;
    if (!sizes.empty() && costs[i].frame[0] >= sizes.back().frame[0]) continue;
    if (!sizes.empty()) {
      costs[i].detail = static_cast<double>(costs[i].frame[0]) /
                        static_cast<double>(std::max<int64_t>(1, sizes[0].frame[0]));
    }
    sizes.push_back(std::move(costs[i]));
    choices.longest_sides[i].push_back(films[i].longest_side);
  }
}

Choices choices_of(const CaptionRequest& request, const Stages& stages,
                   const std::vector<SourceForecast>& sources) {
  check(request.compression.size() <= 1, ErrorCode::kInvalidArgument,
        "visual tokens: expected one compressor to plan for, got " +
            std::to_string(request.compression.size()));
  CompressionSpec spec{"tome", {}};
  if (!request.compression.empty()) spec = request.compression.front();
  check(
      spec.method == "tome" || spec.method == "uniform" || spec.method == "pool",
      ErrorCode::kInvalidArgument,
      "visual tokens: expected tome, uniform or pool, of which it is known what they leave, got " +
          spec.method);
  for (const char* key : {"keep", "tokens", "over"}) {
    check(!spec.params.contains(key), ErrorCode::kInvalidArgument,
          "visual tokens: expected " + spec.method + " without " + key + ", which is planned");
  }
  Choices choices{std::move(spec), std::vector<SourceCost>(sources.size()), {}};
  choices.longest_sides.resize(sources.size());
  std::vector<SourceForecast> films = sources;
  for (size_t i = 0; i < sources.size(); ++i) {
    choices.costs[i].most_frames = sources[i].frames;
    films[i].frames = 0;  // not known yet, so that a frame is as large as one can be
  }
  for (const double part : kSizes) {
    for (SourceForecast& film : films) film.longest_side = shrunk_to(film.media, part);
    add_sizes(films, stages, choices);
  }
  return choices;
}

/// Plans frames, sizes and share, and writes them into request and sources.
void plan(const Choices& choices, int64_t most_tokens, CaptionRequest& request,
          std::vector<SourceForecast>& sources) {
  const VisualPlan found = plan_visual(choices.costs, kKeeps, most_tokens);
  request.compression = {choices.spec};
  request.compression.front().params["keep"] = kKeepTexts[found.keep];
  request.longest_sides.clear();
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto& [frames, size] = found.sources[i];
    sources[i].frames = frames;
    sources[i].longest_side = choices.longest_sides[i][size];
    request.longest_sides.push_back(sources[i].longest_side);
    if (is_film(sources[i].media)) {
      request.sources[i].sampling.rule = UniformFrames{frames};
    }
  }
}

/// What the request makes of the sources, in tokens and bytes.
void foresee(const CaptionRequest& request, const Stages& stages, Forecast& out) {
  out.compression = request.compression;
  out.tokens_in = out.tokens_out = out.feature_bytes = out.picture_bytes = 0;
  out.encode_ms = out.compress_ms = 0;
  StageClock clock;
  const std::vector<Sample> samples = [&] {
    StageClock::Span span(clock, out.encode_ms);
    return samples_of(out.sources, stages, request.compression);
  }();
  int64_t tried = 0;
  std::vector<VisualTokens> all;
  for (size_t i = 0; i < samples.size(); ++i) {
    SourceForecast& source = out.sources[i];
    tried += rows_of(samples[i].frame) + rows_of(samples[i].after);
    source.tokens_in = rows_of(samples[i].frame) * source.frames + rows_of(samples[i].after);
    out.tokens_in += source.tokens_in;
    out.picture_bytes += 3 * source.frames * source.media.width * source.media.height;
    for (VisualTokens& part : film_of(samples[i], source.frames)) {
      out.feature_bytes += static_cast<int64_t>(part.features.nbytes());
      all.push_back(std::move(part));
    }
  }
  out.encode_ms *=
      static_cast<double>(out.tokens_in) / static_cast<double>(std::max<int64_t>(1, tried));
  StageClock::Span span(clock, out.compress_ms);
  const std::vector<int64_t> left =
      left_of(std::move(all), samples.size(), stages, request.compression);
  for (size_t i = 0; i < left.size(); ++i) {
    out.sources[i].tokens_out = left[i];
    out.tokens_out += left[i];
  }
}

void add_model(const ModelReport& model, int64_t answer_tokens, Forecast& out) {
  out.context_tokens = model.context_tokens;
  if (!model.memory.empty()) {
    // As they are stored comes first.
    out.weight_bytes = model.memory.front().weight_bytes;
    out.context_bytes = model.memory.front().context_token_bytes * (out.tokens_out + answer_tokens);
  }
  if (out.refusal.empty() && out.context_tokens > 0 &&
      out.tokens_out + answer_tokens > out.context_tokens) {
    out.refusal = "the model reads " + std::to_string(out.context_tokens) +
                  " tokens; pictures of " + std::to_string(out.tokens_out) + " and an answer of " +
                  std::to_string(answer_tokens) + " are more";
  }
}

}  // namespace

Forecast forecast(CaptionRequest& request, const Stages& stages, std::optional<int64_t> most_tokens,
                  const ModelReport* model) {
  check(stages.encode && stages.compress, ErrorCode::kFailedPrecondition,
        "forecast: expected stages that encode and compress");
  Forecast out;
  for (const MediaRequest& source : request.sources) {
    SourceForecast one{source.name, vision::probe_media(source)};
    if (out.refusal.empty()) out.refusal = refusal_of(source, one.media);
    one.frames = frames_asked(source, one.media, stages);
    out.sources.push_back(std::move(one));
  }
  out.compression = request.compression;
  if (!out.refusal.empty()) return out;
  if (!most_tokens) {
    foresee(request, stages, out);
  } else {
    const Choices choices = choices_of(request, stages, out.sources);
    // Frames that are merged together may leave more tokens than each of them by itself.
    for (int64_t budget = *most_tokens;; budget -= out.tokens_out - *most_tokens) {
      plan(choices, budget, request, out.sources);
      foresee(request, stages, out);
      if (out.tokens_out <= *most_tokens) break;
    }
  }
  const int64_t pixels = out.picture_bytes / 3;
  const int64_t most_pixels = request.sources.front().limits.max_total_pixels;
  if (pixels > most_pixels) {
    out.refusal = "pictures of " + std::to_string(pixels) + " pixels in all, more than " +
                  std::to_string(most_pixels);
  }
  if (model != nullptr) add_model(*model, request.options.max_tokens, out);
  return out;
}

Json to_json(const Forecast& forecast) {
  Json sources = Json::Array();
  for (const SourceForecast& source : forecast.sources) {
    Json one;
    one.set("path", source.name);
    one.set("width", static_cast<int64_t>(source.media.width));
    one.set("height", static_cast<int64_t>(source.media.height));
    one.set("duration_seconds", source.media.duration_seconds);
    one.set("frames", source.frames);
    one.set("longest_side", source.longest_side);
    one.set("tokens_in", source.tokens_in);
    one.set("tokens_out", source.tokens_out);
    sources.push_back(std::move(one));
  }
  Json compression = Json::Array();
  for (const CompressionSpec& spec : forecast.compression) {
    Json params;
    for (const auto& [key, value] : spec.params) params.set(key, value);
    Json one;
    one.set("method", spec.method);
    one.set("params", std::move(params));
    compression.push_back(std::move(one));
  }
  Json out;
  out.set("sources", std::move(sources));
  out.set("compression", std::move(compression));
  out.set("tokens_in", forecast.tokens_in);
  out.set("tokens_out", forecast.tokens_out);
  out.set("picture_bytes", forecast.picture_bytes);
  out.set("feature_bytes", forecast.feature_bytes);
  out.set("context_bytes", forecast.context_bytes);
  out.set("weight_bytes", forecast.weight_bytes);
  out.set("encode_ms", forecast.encode_ms);
  out.set("compress_ms", forecast.compress_ms);
  out.set("context_tokens", forecast.context_tokens);
  out.set("refusal", forecast.refusal);
  return out;
}

}  // namespace lv::services
