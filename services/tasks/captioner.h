#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "services/stages.h"
#include "services/tasks/result.h"
#include "services/tasks/task_run.h"
#include "vision/read/text_reader.h"

namespace lv::services {

/// What to say about which files. Several files are one scene: their pictures are read together.
struct CaptionRequest {
  std::vector<MediaRequest> sources;
  std::string prompt;  // what the caption should say; a request of our own if empty
  GenerationOptions options;
  std::vector<CompressionSpec> compression;
  /// Of each source's pictures, in pixels: longer ones are made so small before they are encoded,
  /// but not before text in them is read. None, or 0: all as they are.
  std::vector<int64_t> longest_sides = {};
  bool listen = true;
  bool read = true;      // recognise text in pictures that hold still
  bool segments = true;  // say it of each part in time, too
  bool point = false;    // say what the text rests on, if the model can
};

/// Joins the stages to one answer: looks, listens, reads, then writes a text over all and one for
/// each part in time. Works the same over local and remote stages. Immutable; runs may be
/// concurrent if the stages allow it.
class Captioner {
 public:
  /// `reader` may be null: then no text is recognised. `model` is the name that results carry.
  Captioner(Stages stages, std::shared_ptr<const vision::TextReader> reader, std::string model);

  /// Throws lv::Error if no source can be looked at; a source's sound that cannot be read is a
  /// warning.
  TaskResult caption(const CaptionRequest& request, const TaskObserver& observer = {}) const;

 private:
  Stages stages_;
  std::shared_ptr<const vision::TextReader> reader_;
  std::string model_;
};

}  // namespace lv::services
