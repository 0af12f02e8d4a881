#include "pipeline/weights/gguf_names.h"

#include <algorithm>

namespace lv {
namespace {

const GgufName* find(std::span<const GgufName> names, std::string_view gguf) {
  const auto it = std::ranges::find(names, gguf, &GgufName::gguf);
  return it == names.end() ? nullptr : &*it;
}

}  // namespace

std::string GgufNames::renamed(const std::string& gguf) const {
  const bool kind_named = gguf.ends_with(".weight") || gguf.ends_with(".bias");
  const size_t end = kind_named ? gguf.rfind('.') : gguf.size();
  const std::string_view stem = std::string_view(gguf).substr(0, end);
  const std::string kind = gguf.substr(end);
  if (const GgufName* name = find(outer, stem)) return std::string(name->hugging_face) + kind;
  if (!stem.starts_with(gguf_layers)) return gguf;
  const size_t begin = gguf_layers.size();
  const size_t number_end = stem.find('.', begin);
  if (number_end == std::string_view::npos) return gguf;
  const GgufName* name = find(layer, stem.substr(number_end + 1));
  if (name == nullptr) return gguf;
  return std::string(hugging_face_layers) + std::string(stem.substr(begin, number_end - begin)) +
         "." + std::string(name->hugging_face) + kind;
}

}  // namespace lv
