#include "audio/transcribe/vocabulary.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/audio/transcribe/support.h"

namespace lv::audio {

TEST_CASE("a vocabulary knows its special tokens") {
  const Vocabulary vocabulary = small_vocabulary();
  CHECK(vocabulary.end() == 4);
  CHECK(vocabulary.start() == 5);
  CHECK(vocabulary.previous() == 11);
  CHECK(vocabulary.transcribe() == 9);
  CHECK(vocabulary.no_speech() == 12);
  CHECK(vocabulary.first_timestamp() == 15);
  CHECK(vocabulary.is_timestamp(15));
  CHECK_FALSE(vocabulary.is_timestamp(14));
  CHECK(vocabulary.seconds(at_time(104)) == Approx(1.04));
  CHECK(vocabulary.languages() ==
        std::vector<std::pair<std::string, int64_t>>{{"en", 6}, {"haw", 7}});
  CHECK_FALSE(vocabulary.multilingual());
  CHECK(small_vocabulary(51865).multilingual());
}

TEST_CASE("text skips special tokens and mends cut characters") {
  const Vocabulary vocabulary = small_vocabulary();
  CHECK(vocabulary.text(std::vector<int64_t>{15, 0, 1, 2, 3, 20, 4}) == "a bé");
  CHECK(vocabulary.text(std::vector<int64_t>{0, 2}) == "a\uFFFD");
  CHECK(vocabulary.text({}).empty());
}

TEST_CASE("valid UTF-8 stays and the rest is replaced") {
  for (const std::string good : {"", "a", "é", "日", "\U0001F697", "\uFFFD"}) {
    CHECK(valid_utf8(good) == good);
  }
  CHECK(valid_utf8("a\x80\x81"
                   "b") ==
        "a\uFFFD"
        "b");
  CHECK(valid_utf8("\xC0\xAF") == "\uFFFD");          // overlong
  CHECK(valid_utf8("\xED\xA0\x80") == "\uFFFD");      // a surrogate
  CHECK(valid_utf8("\xF4\x90\x80\x80") == "\uFFFD");  // above U+10FFFF
  CHECK(valid_utf8("\xE6\x97") == "\uFFFD");          // cut
}

TEST_CASE("trimmed takes white space off both ends") {
  CHECK(trimmed(" \t a b\n") == "a b");
  CHECK(trimmed(" \n ").empty());
}

TEST_CASE("a vocabulary says what its file lacks") {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text = small_tokenizer();
    text.replace(text.find(from), from.size(), to);
    return Vocabulary(parse_json(text, "tokenizer.json"), 115);
  };
  CHECK_THROWS_WITH(with("<|startofprev|>", "<|x|>"),
                    "tokenizer.json: expected the special token <|startofprev|>, got none");
  CHECK_THROWS_WITH(with("\"id\": 14", "\"id\": 115"),
                    "tokenizer.json: added_tokens: expected ids below 115, got 115");
  CHECK_THROWS_WITH(with("\"id\": 14", "\"id\": 114"),
                    "tokenizer.json: expected text, special tokens and timestamps in this order "
                    "below 115");
  CHECK_THROWS_WITH(with("\"a\"", "\"\u65e5\""),
                    "tokenizer.json: model.vocab: expected byte-level pieces, got '\u65e5'");
}

}  // namespace lv::audio
