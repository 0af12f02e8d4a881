#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/base/registry.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// Sides in pixels.
struct PictureSize {
  int64_t height = 0, width = 0;
};

/// One picture as an encoder reads it: whole, or cut into tiles with the whole picture last.
struct ProcessedPicture {
  at::Tensor pixels;  // [P, 3, H, W] float32, where the picture was
  at::Tensor boxes;   // [P, 4] float32: which part of the picture each shows, as
                      // fractions; beyond [0, 1] where it was padded
  PatchGrid tiles;    // rows and columns of tiles; none if the picture was not cut
  std::vector<PictureSize> sizes = {};  // [P] of what is a picture in `pixels`, from its upper left
                                        // corner; none: all of it
};

/// Turns a picture into what an encoder was trained on. Immutable and thread-safe.
class ImageProcessor {
 public:
  virtual ~ImageProcessor() = default;
  /// [H, W, 3] uint8, RGB, on the CPU or, in a build with kernels, on a GPU: the same numbers.
  /// Throws kInvalidArgument on another shape or type.
  virtual ProcessedPicture process(const at::Tensor& picture) const = 0;

  /// The same of a frame of a film that has `film_frames` of them; 0 if that is not known.
  virtual ProcessedPicture process_frame(const at::Tensor& picture, int64_t /*film_frames*/) const {
    return process(picture);
  }

  /// Whether what it makes of a picture depends on the others of a request.
  virtual bool regards_set() const { return false; }
  /// The picture at `index` of a set whose pictures have these sizes. Throws kInvalidArgument on a
  /// set that it cannot take.
  virtual ProcessedPicture process_in_set(const at::Tensor& picture,
                                          const std::vector<PictureSize>& /*sizes*/,
                                          size_t /*index*/) const {
    return process(picture);
  }
};
using ImageProcessorPtr = std::shared_ptr<const ImageProcessor>;

/// The table of image processors, by `image_processor_type`. Each reads its own keys of the
/// configuration, a preprocessor_config.json.
const Registry<ImageProcessor, const Json&>& image_processors();

/// The processor that a configuration names.
ImageProcessorPtr make_image_processor(const Json& config);

/// The processor for frames of films, of the same configuration: it cuts nothing into tiles, and
/// where the configuration names a size for frames (`video_sampling.video_size`), or for tiles, it
/// is that.
ImageProcessorPtr make_film_processor(Json config);

/// The processor for pages of documents, of the same configuration: where that names a size for
/// them (`page_size`), it is that.
ImageProcessorPtr make_page_processor(Json config);

std::unique_ptr<ImageProcessor> make_anyres_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_clip_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_efficientnet_lite_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_idefics2_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_leopard_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_llava_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_nano_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_qwen2_vl_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_siglip2_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_siglip_processor(const Json& config);
std::unique_ptr<ImageProcessor> make_smolvlm_processor(const Json& config);

}  // namespace lv::vision
