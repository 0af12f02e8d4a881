#include "llm/tokenizer/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr UnicodeAddition kAdditions[] = {
#include "llm/tokenizer/unicode_additions.inc"
};

/// Whether `c` joined the category later; '\0' stands for each of its subcategories.
bool added(char32_t c, char major, char minor = '\0') {
  for (const UnicodeAddition& range : kAdditions) {
    if (range.category[0] == major && (minor == '\0' || range.category[1] == minor) &&
        c >= range.first && c <= range.last)
      return true;
  }
  return false;
}

bool continues(std::string_view text, size_t i) {
  return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
}

/// The bytes that may follow `lead` as second of a character; empty if there are none.
std::pair<unsigned char, unsigned char> second_byte(unsigned char lead) {
  if (lead == 0xE0) return {0xA0, 0xBF};
  if (lead == 0xED) return {0x80, 0x9F};  // no surrogates
  if (lead == 0xF0) return {0x90, 0xBF};
  if (lead == 0xF4) return {0x80, 0x8F};
  return {0x80, 0xBF};
}

/// How far the bytes at i go towards a character: (bytes that fit, bytes the character has).
std::pair<size_t, size_t> measure(std::string_view text, size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (lead < 0x80) return {1, 1};
  if (lead < 0xC2 || lead > 0xF4) return {1, 0};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (i + 1 >= text.size()) return {1, length};
  const auto [low, high] = second_byte(lead);
  const auto second = static_cast<unsigned char>(text[i + 1]);
  if (second < low || second > high) return {1, length};
  size_t fit = 2;
  while (fit < length && continues(text, i + fit)) ++fit;
  return {fit, length};
}

class ReferenceForm {
 public:
  explicit ReferenceForm(NormalForm form)
      : set_(icu::UnicodeString("[:age=9.0:]"), status_), filtered_(instance(form), set_) {
    check(U_SUCCESS(status_), ErrorCode::kInternal,
          std::string("Unicode data: ") + u_errorName(status_));
  }
  const icu::Normalizer2& operator*() const { return filtered_; }

 private:
  const icu::Normalizer2& instance(NormalForm form) {
    const icu::Normalizer2* found = nullptr;
    switch (form) {
      case NormalForm::kNfc:
        found = icu::Normalizer2::getNFCInstance(status_);
        break;
      case NormalForm::kNfd:
        found = icu::Normalizer2::getNFDInstance(status_);
        break;
      case NormalForm::kNfkc:
        found = icu::Normalizer2::getNFKCInstance(status_);
        break;
      case NormalForm::kNfkd:
        found = icu::Normalizer2::getNFKDInstance(status_);
        break;
    }
    check(U_SUCCESS(status_) && found != nullptr, ErrorCode::kInternal,
          std::string("Unicode data: ") + u_errorName(status_));
    return *found;
  }

  UErrorCode status_ = U_ZERO_ERROR;
  icu::UnicodeSet set_;
  icu::FilteredNormalizer2 filtered_;  // borrows set_
};

const icu::Normalizer2& normalizer(NormalForm form) {
  static const ReferenceForm nfc(NormalForm::kNfc), nfd(NormalForm::kNfd), nfkc(NormalForm::kNfkc),
      nfkd(NormalForm::kNfkd);
  switch (form) {
    case NormalForm::kNfc:
      return *nfc;
    case NormalForm::kNfd:
      return *nfd;
    case NormalForm::kNfkc:
      return *nfkc;
    case NormalForm::kNfkd:
      return *nfkd;
  }
  return *nfc;
}

}  // namespace

size_t utf8_length(std::string_view text, size_t i, bool* incomplete) {
  const auto [fit, length] = measure(text, i);
  if (incomplete != nullptr) *incomplete = length > 0 && fit < length && i + fit == text.size();
  return fit == length ? length : 0;
}

std::string valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    const auto [fit, length] = measure(bytes, i);
    if (fit == length) {
      text.append(bytes, i, fit);
    } else {
      text += "\uFFFD";
    }
    i += fit;
  }
  return text;
}

char32_t next_character(std::string_view text, size_t& i) {
  const auto lead = static_cast<unsigned char>(text[i++]);
  if (lead < 0x80) return lead;
  char32_t c = lead < 0xE0 ? lead & 0x1F : lead < 0xF0 ? lead & 0x0F : lead & 0x07;
  while (continues(text, i)) c = c << 6 | (static_cast<unsigned char>(text[i++]) & 0x3F);
  return c;
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    tail(12), tail(6), tail(0);
  }
}

std::vector<size_t> grapheme_ends(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  // Costly to make and not thread-safe, so each thread keeps one.
  thread_local const std::unique_ptr<icu::BreakIterator> iterator(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  check(U_SUCCESS(status) && iterator != nullptr, ErrorCode::kInternal,
        std::string("Unicode data: ") + u_errorName(status));
  UText source = UTEXT_INITIALIZER;
  utext_openUTF8(&source, text.data(), static_cast<int64_t>(text.size()), &status);
  iterator->setText(&source, status);
  std::vector<size_t> ends;
  iterator->first();
  for (int32_t end = iterator->next(); end != icu::BreakIterator::DONE; end = iterator->next())
    ends.push_back(static_cast<size_t>(end));
  utext_close(&source);
  check(U_SUCCESS(status), ErrorCode::kInternal,
        std::string("grapheme clusters: ") + u_errorName(status));
  return ends;
}

bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  // The second list of ranges is of Unicode 17, which regular expressions do not know yet.
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0 || added(c, 'N') ||
         (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return c > 0x20 && c < 0x7F && u_isalnum(static_cast<UChar32>(c)) == 0;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0 || added(c, 'P');
}

bool is_word(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  constexpr uint32_t kWord = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(point, UCHAR_ALPHABETIC) != 0 || (U_GET_GC_MASK(point) & kWord) != 0 ||
         c == 0x200C || c == 0x200D || added(c, 'L') || added(c, 'M') ||
         (added(c, 'N') && u_charType(point) != U_OTHER_NUMBER);
}

std::string lower_case(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_character(text, i);
    if (c == 0x130) {
      result += "i\u0307";  // the one character whose lower case is two
    } else {
      append_utf8(result, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
    }
  }
  return result;
}

std::string upper_case(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_character(text, i);
    if (c == 0xDF) {
      result += "SS";
    } else {
      append_utf8(result, static_cast<char32_t>(u_toupper(static_cast<UChar32>(c))));
    }
  }
  return result;
}

std::string normal_form(std::string_view text, NormalForm form) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  check(text.size() < (1u << 30), ErrorCode::kInvalidArgument,
        "text: expected less than 2^30 bytes, got " + std::to_string(text.size()));
  // FilteredNormalizer2::normalizeUTF8 takes the characters outside of its set for boundaries.
  UErrorCode status = U_ZERO_ERROR;
  normalizer(form).normalizeUTF8(
      0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr, status);
  check(U_SUCCESS(status), ErrorCode::kInternal,
        std::string("normal form: ") + u_errorName(status));
  return result;
}

bool starts_anew(char32_t c, NormalForm form) {
  return normalizer(form).hasBoundaryBefore(static_cast<UChar32>(c)) != 0;
}

std::span<const UnicodeAddition> unicode_additions() { return kAdditions; }

}  // namespace lv::llm
