#pragma once

#include <cstdint>
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

/// A question about files: films, pictures, PDF documents.
struct AskRequest {
  std::vector<MediaRequest> sources;
  std::string question;
  GenerationOptions options;
  std::vector<CompressionSpec> compression;
  bool listen = true;
  bool read = true;            // recognise text in pictures, and on pages that have no text layer
  int64_t text_tokens = 1536;  // about as many tokens of pages and pictures are read at most
};

/// Answers questions about files and says where the answer is. Of documents the text layer is read,
/// recognised text where there is none; what is too long is left out by how little it has to do
/// with the question (retrieval.h). Pages are looked at as pictures, too, where the model was
/// trained to see or nothing is written. Works the same over local and remote stages; documents are
/// read where this runs. Immutable; runs may be concurrent if the stages allow it.
class Asker {
 public:
  /// `reader` may be null: then no text is recognised. `model` is the name that results carry.
  Asker(Stages stages, std::shared_ptr<const vision::TextReader> reader, std::string model);

  /// The text is kNotFound where the files do not say. Throws kInvalidArgument without a question,
  /// lv::Error if a source can be neither read nor looked at.
  TaskResult ask(const AskRequest& request, const TaskObserver& observer = {}) const;

 private:
  Stages stages_;
  std::shared_ptr<const vision::TextReader> reader_;
  std::string model_;
};

}  // namespace lv::services
