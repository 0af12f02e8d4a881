#include "llm/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr const char* kSpace =
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
    "\\x{205F}\\x{3000}";
constexpr const char* kNotSpace =
    "\\x{0}-\\x{8}\\x{E}-\\x{1F}\\x{21}-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}"
    "\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}"
    "\\x{3001}-\\x{10FFFF}";
// Letters that are symbols by category: circled and squared ones.
constexpr const char* kOtherAlphabetic =
    "\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";

std::string range_text(char32_t first, char32_t last) {
  char text[40];
  snprintf(text, sizeof text, "\\x{%X}-\\x{%X}", static_cast<unsigned>(first),
           static_cast<unsigned>(last));
  return text;
}

/// \p{name} and what joined the category later, as members of a class.
std::string property_members(const std::string& name) {
  std::string members = "\\p{" + name + "}";
  if (name.empty() || name.size() > 2) return members;
  for (const UnicodeAddition& range : unicode_additions()) {
    if (range.category[0] != name[0] || (name.size() == 2 && range.category[1] != name[1]))
      continue;
    members += range_text(range.first, range.last);
  }
  return members;
}

std::string word_members() {
  return property_members("L") + property_members("M") + property_members("Nd") +
         property_members("Nl") + property_members("Pc") + kOtherAlphabetic;
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size()) {
      if (in_[at_] == '\\') {
        escape(false);
      } else if (in_[at_] == '[') {
        character_class();
      } else {
        out_ += in_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(ErrorCode code, const std::string& what) const {
    throw Error(code, "regular expression: " + what + " at byte " + std::to_string(at_));
  }

  void members(const std::string& plain, bool negated, bool in_class, const char* opposite) {
    if (!in_class) {
      out_ += (negated ? "[^" : "[") + plain + "]";
    } else {
      out_ += negated ? opposite : plain;
    }
  }

  void property(bool in_class) {
    bool negated = in_[at_ + 1] == 'P';
    at_ += 3;
    const size_t end = in_.find('}', at_);
    if (end == std::string_view::npos) fail(ErrorCode::kInvalidArgument, "property without '}'");
    std::string name(in_.substr(at_, end - at_));
    at_ = end + 1;
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.erase(0, 1);
    }
    members(property_members(name), negated, in_class, ("\\P{" + name + "}").c_str());
  }

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) fail(ErrorCode::kInvalidArgument, "'\\' at the end");
    const char c = in_[at_ + 1];
    if ((c == 'p' || c == 'P') && at_ + 2 < in_.size() && in_[at_ + 2] == '{') {
      property(in_class);
      return;
    }
    at_ += 2;
    switch (c) {
      case 's':
      case 'S':
        members(kSpace, c == 'S', in_class, kNotSpace);
        break;
      case 'd':
      case 'D':
        members(property_members("Nd"), c == 'D', in_class, "\\D");
        break;
      case 'w':
      case 'W':
        members(word_members(), c == 'W', in_class, "\\W");
        break;
      case 'h':
      case 'H':
        members("0-9a-fA-F", c == 'H', in_class, "\\x{0}-/:-@G-`g-\\x{10FFFF}");
        break;
      case 'u':
        if (at_ + 4 > in_.size()) fail(ErrorCode::kInvalidArgument, "\\u without four digits");
        out_ += "\\x{" + std::string(in_.substr(at_, 4)) + "}";
        at_ += 4;
        break;
      default:
        out_ += '\\';
        out_ += c;
    }
  }

  void character_class() {
    out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == '^') out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == ']') out_ += '\\', out_ += in_[at_++];
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '\\') {
        escape(true);
      } else if (in_.substr(at_, 2) == "[:") {
        const size_t end = in_.find(":]", at_);
        if (end == std::string_view::npos) fail(ErrorCode::kInvalidArgument, "class without ':]'");
        out_ += in_.substr(at_, end + 2 - at_);
        at_ = end + 2;
      } else if (in_[at_] == '[' || in_.substr(at_, 2) == "&&") {
        fail(ErrorCode::kUnimplemented, "a set inside of a set is not understood");
      } else {
        out_ += in_[at_++];
      }
    }
    if (at_ == in_.size()) fail(ErrorCode::kInvalidArgument, "'[' without ']'");
    out_ += in_[at_++];
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string out_;
};

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* x) const {
    Free(x);
  }
};
using UniqueCode = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using UniqueMatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using UniqueContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using UniqueStack = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;

std::string message_of(int code) {
  unsigned char text[160] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

/// What matching on one thread needs beside the program.
struct Scratch {
  UniqueContext context{pcre2_match_context_create(nullptr)};
  UniqueStack stack{pcre2_jit_stack_create(32 << 10, 8 << 20, nullptr)};

  Scratch() {
    check(context && stack, ErrorCode::kResourceExhausted, "regular expression: out of memory");
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    pcre2_set_match_limit(context.get(), 5'000'000);
    pcre2_set_depth_limit(context.get(), 1'000'000);
    pcre2_set_heap_limit(context.get(), 64 << 10);  // KiB
  }
};

}  // namespace

struct Regex::Program {
  UniqueCode code;
};

Regex::Regex(std::string_view pattern) {
  check(pattern.size() <= (1u << 16), ErrorCode::kInvalidArgument,
        "regular expression: expected at most 65536 bytes, got " + std::to_string(pattern.size()));
  const std::string text = to_pcre2(pattern);
  int problem = 0;
  size_t position = 0;
  UniqueCode code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &problem, &position,
                                nullptr));
  if (!code) {
    throw Error(ErrorCode::kInvalidArgument, "regular expression '" + std::string(pattern) +
                                                 "': " + message_of(problem) + " near byte " +
                                                 std::to_string(position));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs
  program_ = std::make_unique<Program>(Program{std::move(code)});
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::vector<std::pair<size_t, size_t>> Regex::find_all(std::string_view text) const {
  thread_local Scratch scratch;
  const UniqueMatchData data(pcre2_match_data_create_from_pattern(program_->code.get(), nullptr));
  check(data != nullptr, ErrorCode::kResourceExhausted, "regular expression: out of memory");
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::vector<std::pair<size_t, size_t>> found;
  size_t start = 0;
  while (start <= text.size()) {
    const int rc = pcre2_match(program_->code.get(), subject, text.size(), start,
                               PCRE2_NO_UTF_CHECK, data.get(), scratch.context.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    check(rc > 0, ErrorCode::kResourceExhausted, "regular expression: " + message_of(rc));
    const size_t* range = pcre2_get_ovector_pointer(data.get());
    const size_t begin = range[0], end = range[1];
    if (end < begin) break;  // \K in a lookahead
    if (begin == end) {
      const bool touches = !found.empty() && found.back().second == begin;
      if (!touches) found.emplace_back(begin, end);
      if (end >= text.size()) break;
      start = end;
      next_character(text, start);
    } else {
      found.emplace_back(begin, end);
      start = end;
    }
  }
  return found;
}

std::string to_pcre2(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace lv::llm
