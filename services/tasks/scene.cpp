#include "services/tasks/scene.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "services/tasks/clip.h"

namespace lv::services {
namespace {

constexpr double kLeastLabelProbability = 0.1;
constexpr size_t kMostLabels = 4;

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

void add_labels(std::vector<Scene>& scenes, const VisualTokens& visual) {
  const at::Tensor pts = visual.origin.pts_seconds;
  std::map<std::pair<size_t, std::string>, double> best;  // (scene, name) -> probability
  for (const PictureLabel& label : visual.labels) {
    const int64_t row = visual.offsets[label.picture].item<int32_t>();
    if (label.probability < kLeastLabelProbability || row >= pts.size(0)) continue;
    const double seconds = pts[row].item<double>();
    const int32_t source = visual.origin.source[row].item<int32_t>();
    for (size_t i = 0; i < scenes.size(); ++i) {
      if (scenes[i].source != source || !holds(scenes[i], seconds)) continue;
      double& probability = best[{i, label.name}];
      probability = std::max(probability, label.probability);
    }
  }
  std::vector<std::pair<double, std::pair<size_t, std::string>>> ranked;
  for (const auto& [key, probability] : best) ranked.emplace_back(-probability, key);
  std::sort(ranked.begin(), ranked.end());
  for (const auto& [rank, key] : ranked) {
    std::vector<std::string>& labels = scenes[key.first].labels;
    if (labels.size() < kMostLabels) labels.push_back(key.second);
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

std::string joined_text(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
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
  double seconds = 0;
  for (size_t i = first; i < scenes.size() && scenes[i].source == scenes[first].source; ++i) {
    seconds = scenes[i].end_seconds - scenes[first].start_seconds;
    if (!has_tokens(scenes[i])) continue;
    embeddings.push_back(scenes[i].tokens.embeddings);
    sizes.push_back(scenes[i].tokens.sizes);
    origins.push_back(scenes[i].tokens.origin);
  }
  if (embeddings.empty()) return;
  CompressedTokens film{at::cat(embeddings), at::cat(sizes), joined(origins), {}};
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
