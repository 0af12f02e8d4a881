#include "vision/compressors/compressors.h"

namespace lv::vision {

const Registry<Compressor, Params>& compressors() {
  static const Registry<Compressor, Params> all{"compressor",
                                                {
                                                    {"keep_all", make_keep_all},
                                                    {"pool", make_pool},
                                                    {"tome", make_tome},
                                                    {"uniform", make_uniform},
                                                }};
  return all;
}

}  // namespace lv::vision
