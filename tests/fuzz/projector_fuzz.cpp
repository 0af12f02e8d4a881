#include <memory>
#include <utility>

#include "pipeline/weights/converted_store.h"
#include "pipeline/weights/gguf_projector.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/read_parts.h"

/// The eyes of a language model, in GGUF; the language model is as wide as they want it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const lv::MemoryFile file(bytes, size);
  try {
    lv::GgufPart text;
    text.config.set("model_type", "llama");
    text.config.set("tie_word_embeddings", false);
    text.config.set("hidden_size", lv::gguf_projector_width(file.path()).value_or(1));
    lv::GgufPart whole = lv::with_projector(std::move(text), file.path());
    lv::read_parts({"fuzz", std::move(whole.config),
                    std::make_shared<lv::ConvertedStore>("fuzz", std::move(whole.tensors))});
  } catch (const lv::Error&) {
  }
  return 0;
}
