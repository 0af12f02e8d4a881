#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"
#include "services/stages.h"
#include "services/tasks/result.h"

namespace lv::services {

/// What is known of one source on [start, end): the material of one paragraph of a prompt.
struct Scene {
  int32_t source = 0;
  double start_seconds = 0;
  double end_seconds = 0;
  bool still = false;               // a picture: it has no times worth telling
  int32_t page = 0;                 // of a document, from 1
  CompressedTokens tokens;          // may have no rows
  std::vector<std::string> labels;  // what the encoder's classifier names, most probable first
  std::vector<std::string> said;
  std::vector<std::string> written;
  std::string rows = {};  // what is written on a page, a line a row, cells parted by " | "
};

/// Cuts every source into parts of about `seconds_per_scene`, at most `most` of each, and sorts
/// tokens, labels, words and written text into them. `visual` tells the labels and pictures' times;
/// `tokens` is what compression left of it.
std::vector<Scene> scenes_of(const TaskResult& result, const VisualTokens& visual,
                             const CompressedTokens& tokens, double seconds_per_scene = 5,
                             int64_t most = 6);

/// One user message: each scene's time or page, pictures, labels, words and written text, then
/// `request`. Where the model was trained so, all frames of a film stand before its first scene.
Message message_about(const std::vector<Scene>& scenes, const std::string& request,
                      const FilmManner& films = {});

/// Several scenes as one: what is known of any, tokens one scene after another. At least one.
Scene joined(const std::vector<Scene>& scenes);

/// All scenes as one: what a model is asked about that was trained with clips as a whole. The names
/// are the most probable ones of all pictures.
Scene whole_clip(const std::vector<Scene>& scenes, const VisualTokens& visual,
                 const CompressedTokens& tokens);

/// One user message for such a model: pictures, labels, words, written text, `request`, and nothing
/// else.
Message message_about_clip(const Scene& clip, const std::string& request);

/// Where in that text the rows of a page begin, in bytes.
int64_t rows_begin(const Scene& clip);

/// `written` by a model, as whole sentences, followed by what was said and what stands in the
/// picture, word for word.
std::string with_quotes(std::string written, const std::vector<Scene>& scenes);

}  // namespace lv::services
