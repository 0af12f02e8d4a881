#include "pipeline/weights/gguf_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"
#include "pipeline/weights/gguf_language_model.h"
#include "pipeline/weights/gguf_projector.h"

namespace lv {
namespace {

namespace fs = std::filesystem;

/// As converters name them.
bool is_called_projector(const fs::path& path) {
  return path.filename().string().find("mmproj") != std::string::npos;
}

std::vector<std::string> gguf_files(const fs::path& folder) {
  std::vector<std::string> found;
  std::error_code problem;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, problem)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".gguf" && entry.is_regular_file(problem))
      found.push_back(path.string());
  }
  std::ranges::sort(found);
  return found;
}

/// The projector beside a language model whose rows have its width; empty if there is none.
std::string projector_beside(const std::string& path, int64_t width) {
  std::vector<std::string> fitting;
  for (const std::string& file : gguf_files(fs::absolute(path).parent_path())) {
    if (is_called_projector(file) && gguf_projector_width(file) == width) fitting.push_back(file);
  }
  check(fitting.size() <= 1, ErrorCode::kInvalidArgument,
        path + ": expected one mmproj file beside it or a choice among them (or none), got " +
            joined_text(fitting));
  return fitting.empty() ? std::string() : fitting.front();
}

}  // namespace

Checkpoint gguf_checkpoint(const std::string& path, const std::string& projector) {
  GgufPart model = gguf_language_model(path);
  std::string eyes = projector == "none" ? std::string() : projector;
  if (projector.empty()) eyes = projector_beside(path, model.config.at("hidden_size").as_int());
  if (!eyes.empty()) model = with_projector(std::move(model), eyes);
  return Checkpoint(path, std::move(model.config),
                    std::make_shared<ConvertedStore>(path, std::move(model.tensors)),
                    std::move(model.metadata));
}

std::string gguf_in_folder(const std::string& folder) {
  std::vector<std::string> files = gguf_files(folder);
  std::erase_if(files, is_called_projector);
  check(files.size() <= 1, ErrorCode::kInvalidArgument,
        folder + ": expected config.json or one GGUF file of a language model, got " +
            joined_text(files));
  return files.empty() ? std::string() : files.front();
}

}  // namespace lv
