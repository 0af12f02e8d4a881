#include "services/tasks/scene.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "pipeline/base/joined_text.h"
#include "services/tasks/clip.h"

namespace lv::services {
namespace {

constexpr double kLeastLabelProbability = 0.1;
constexpr size_t kMostLabels = 4;
constexpr const char* kWritten = "\nWritten:\n";  // before what is written in a clip

/// Midpoints decide where something timed belongs, so that it is told once.
template <class Timed>
double midpoint(const Timed& item) {
  return (item.start_seconds + item.end_seconds) / 2;
}

bool holds(const Scene& scene, double seconds) {
  return seconds >= scene.start_seconds && seconds < scene.end_seconds;
}

void add_once(std::vector<std::string>& all, const std::string& text) {
  if (!text.empty() && std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
}

/// The end of a source's last scene: after everything that is known of it.
double end_of(int32_t source, const TaskResult& result) {
  double end = result.sources[static_cast<size_t>(source)].media.duration_seconds;
  for (const SampledFrame& frame : result.sampling) {
    if (frame.source == source) end = std::max(end, frame.pts_seconds + 1e-3);
  }
  if (source == 0 && !result.transcript.empty()) {
    end = std::max(end, result.transcript.back().end_seconds);
  }
  return end;
}

/// The names that are the most probable ones of their pictures, the most probable first.
std::vector<std::string> best_names(const std::map<std::string, double>& probabilities) {
  std::vector<std::pair<double, std::string>> ranked;
  for (const auto& [name, probability] : probabilities) ranked.emplace_back(-probability, name);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(ranked.size(), kMostLabels); ++i)
    names.push_back(ranked[i].second);
  return names;
}

/// Of all pictures that `shows` takes, which gets their source and time.
template <class Shows>
std::vector<std::string> labels_of(const VisualTokens& visual, Shows shows) {
  const at::Tensor pts = visual.origin.pts_seconds;
  std::map<std::string, double> best;
  for (const PictureLabel& label : visual.labels) {
    const int64_t row = visual.offsets[label.picture].item<int32_t>();
    if (label.probability < kLeastLabelProbability || row >= pts.size(0)) continue;
    if (!shows(visual.origin.source[row].item<int32_t>(), pts[row].item<double>())) continue;
    double& probability = best[label.name];
    probability = std::max(probability, label.probability);
  }
  return best_names(best);
}

void add_labels(std::vector<Scene>& scenes, const VisualTokens& visual) {
  for (Scene& scene : scenes) {
    scene.labels = labels_of(visual, [&scene](int32_t source, double seconds) {
      return source == scene.source && holds(scene, seconds);
    });
  }
}

void add_words(std::vector<Scene>& scenes, const TaskResult& result) {
  for (Scene& scene : scenes) {
    if (scene.source != 0)
      continue;  // transcript and screen text tell no source: with several, the first has them
    for (const SpeechSegment& speech : result.transcript) {
      if (holds(scene, midpoint(speech))) add_once(scene.said, speech.text);
    }
    for (const vision::ScreenText& text : result.screen_text) {
      if (scene.still ||
          (text.start_seconds < scene.end_seconds && text.end_seconds >= scene.start_seconds)) {
        add_once(scene.written, text.text);
      }
    }
  }
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Up to the last full stop if there is one; a caption cut off by its length keeps whole sentences.
std::string whole_sentences(const std::string& text) {
  const std::string all = trimmed(text);
  if (all.empty() || std::string(".!?").find(all.back()) != std::string::npos) return all;
  const size_t stop = all.find_last_of(".!?");
  return stop == std::string::npos ? all + "." : all.substr(0, stop + 1);
}

std::string time_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", seconds);
  return text;
}

bool has_tokens(const Scene& scene) {
  return scene.tokens.embeddings.defined() && scene.tokens.embeddings.size(0) > 0;
}

/// What a message about a clip says before what is written in it.
std::string told_before_writing(const Scene& clip) {
  std::string text;
  if (!clip.labels.empty()) text += "\nSeen: " + joined_text(clip.labels, ", ") + ".";
  if (!clip.said.empty()) text += "\nSaid: \"" + joined_text(clip.said, " ") + "\"";
  return text;
}

/// How many times there are among tokens that stand for one of them.
int64_t count_frames(const CompressedTokens& tokens) {
  const at::Tensor own = at::bitwise_and(tokens.origin.flags, kSpread) == 0;
  const at::Tensor times = tokens.origin.pts_seconds.index({own});
  return std::get<0>(at::_unique(times)).numel();
}

/// The frames of the film whose first scene this is, behind what the model's family puts first.
void add_film(const std::vector<Scene>& scenes, size_t first, const FilmManner& films,
              Message& message) {
  std::vector<at::Tensor> embeddings, sizes;
  std::vector<TokenOrigin> origins;
  LayerPruning pruning;
  double seconds = 0;
  for (size_t i = first; i < scenes.size() && scenes[i].source == scenes[first].source; ++i) {
    seconds = scenes[i].end_seconds - scenes[first].start_seconds;
    if (!has_tokens(scenes[i])) continue;
    embeddings.push_back(scenes[i].tokens.embeddings);
    sizes.push_back(scenes[i].tokens.sizes);
    origins.push_back(scenes[i].tokens.origin);
    pruning = scenes[i].tokens.pruning;
  }
  if (embeddings.empty()) return;
  CompressedTokens film{at::cat(embeddings), at::cat(sizes), lv::joined(origins), {}, pruning};
  if (films.opening != nullptr) {
    message.parts.emplace_back(films.opening(count_frames(film), seconds));
  }
  message.parts.emplace_back(std::move(film));
}

}  // namespace

std::vector<Scene> scenes_of(const TaskResult& result, const VisualTokens& visual,
                             const CompressedTokens& tokens, double seconds_per_scene,
                             int64_t most) {
  std::vector<Scene> scenes;
  for (size_t i = 0; i < result.sources.size(); ++i) {
    const auto source = static_cast<int32_t>(i);
    const double end = end_of(source, result);
    const bool still = result.sources[i].media.kind == MediaKind::kPicture;
    const int64_t count =
        still ? 1 : std::clamp<int64_t>(std::llround(end / seconds_per_scene), 1, most);
    for (int64_t k = 0; k < count; ++k) {
      Scene scene;
      scene.source = source;
      scene.still = still;
      scene.start_seconds = end * static_cast<double>(k) / static_cast<double>(count);
      scene.end_seconds = end * static_cast<double>(k + 1) / static_cast<double>(count);
      if (tokens.embeddings.defined()) {
        scene.tokens = between(tokens, source, scene.start_seconds, scene.end_seconds);
      }
      scenes.push_back(std::move(scene));
    }
  }
  add_labels(scenes, visual);
  add_words(scenes, result);
  return scenes;
}

Scene joined(const std::vector<Scene>& scenes) {
  Scene all = scenes.front();
  std::vector<at::Tensor> embeddings, sizes;
  std::vector<TokenOrigin> origins;
  LayerPruning pruning;
  all.labels.clear();
  all.said.clear();
  all.written.clear();
  all.rows.clear();
  for (const Scene& scene : scenes) {
    all.end_seconds = std::max(all.end_seconds, scene.end_seconds);
    for (const std::string& text : scene.labels) add_once(all.labels, text);
    for (const std::string& text : scene.said) add_once(all.said, text);
    for (const std::string& text : scene.written) add_once(all.written, text);
    if (!scene.rows.empty()) all.rows += (all.rows.empty() ? "" : "\n") + scene.rows;
    if (!has_tokens(scene)) continue;
    embeddings.push_back(scene.tokens.embeddings);
    sizes.push_back(scene.tokens.sizes);
    origins.push_back(scene.tokens.origin);
    pruning = scene.tokens.pruning;
  }
  all.tokens = {};
  if (!embeddings.empty()) {
    all.tokens = {at::cat(embeddings), at::cat(sizes), lv::joined(origins), {}, pruning};
  }
  return all;
}

Scene whole_clip(const std::vector<Scene>& scenes, const VisualTokens& visual,
                 const CompressedTokens& tokens) {
  Scene clip = joined(scenes);
  clip.tokens = tokens;
  clip.labels = labels_of(visual, [](int32_t, double) { return true; });
  return clip;
}

int64_t rows_begin(const Scene& clip) {
  return static_cast<int64_t>((told_before_writing(clip) + kWritten).size());
}

Message message_about_clip(const Scene& clip, const std::string& request) {
  Message message{"user", {}};
  if (has_tokens(clip)) message.parts.emplace_back(clip.tokens);
  std::vector<std::string> written = clip.written;
  if (!clip.rows.empty()) written.insert(written.begin(), clip.rows);
  std::string text = told_before_writing(clip);
  if (!written.empty()) text += kWritten + joined_text(written, "\n");
  message.parts.emplace_back(text + "\n" + request);
  return message;
}

Message message_about(const std::vector<Scene>& scenes, const std::string& request,
                      const FilmManner& films) {
  Message message{"user", {}};
  for (size_t i = 0; i < scenes.size(); ++i) {
    const Scene& scene = scenes[i];
    const bool together = films.whole() && !scene.still;
    if (together && (i == 0 || scenes[i - 1].source != scene.source)) {
      add_film(scenes, i, films, message);
    }
    std::string text = scene.page > 0 ? "Page " + std::to_string(scene.page)
                       : scene.still  ? "A picture"
                                      : "From " + time_text(scene.start_seconds) + " to " +
                                           time_text(scene.end_seconds) + " seconds";
    if (!message.parts.empty()) text = "\n" + text;
    if (together && scene.labels.empty() && scene.said.empty() && scene.written.empty() &&
        scene.rows.empty()) {
      continue;
    }
    if (!together && has_tokens(scene)) {
      message.parts.emplace_back(text + ": ");
      message.parts.emplace_back(scene.tokens);
      text.clear();
    }
    if (!scene.labels.empty()) text += "\nSeen: " + joined_text(scene.labels, ", ") + ".";
    if (!scene.said.empty()) text += "\nSaid: \"" + joined_text(scene.said, " ") + "\"";
    if (!scene.written.empty()) text += "\nWritten: \"" + joined_text(scene.written, " / ") + "\"";
    if (!scene.rows.empty()) text += "\nWritten:\n" + scene.rows;
    if (!text.empty()) message.parts.emplace_back(text);
  }
  const bool behind_film =
      message.parts.empty() ||
      (films.whole() && std::holds_alternative<CompressedTokens>(message.parts.back()));
  message.parts.emplace_back(behind_film ? request : "\n" + request);
  return message;
}

std::string with_quotes(std::string written, const std::vector<Scene>& scenes) {
  std::vector<std::string> said;
  std::vector<std::string> shown;
  for (const Scene& scene : scenes) {
    for (const std::string& text : scene.said) add_once(said, text);
    for (const std::string& text : scene.written) add_once(shown, text);
  }
  std::string text = whole_sentences(written);
  const auto add = [&text](const std::string& sentence) {
    text += (text.empty() ? "" : " ") + sentence;
  };
  if (!said.empty()) add("A voice says: \"" + joined_text(said, " ") + "\"");
  if (!shown.empty()) add("Text in the picture: \"" + joined_text(shown, " / ") + "\"");
  return text;
}

}  // namespace lv::services
