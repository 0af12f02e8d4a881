#include "llm/grammar/json_constraints.h"

#include <ATen/Parallel.h>
#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "llm/grammar/json_schema.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kRememberedBytes = 64 << 20;
constexpr std::string_view kWatched =
    "\\\xE0\xED\xF0\xF4";  // bytes behind which some may not stand
constexpr float kNever = -std::numeric_limits<float>::infinity();

/// XGrammar's errors begin with a time and a place in its sources.
std::string reason(const std::exception& problem) {
  std::string text = problem.what();
  if (const size_t place = text.find(".cc:"); place != std::string::npos) {
    text.erase(0, std::min(text.find(": ", place), text.size() - 2) + 2);
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, std::min<size_t>(text.find_last_not_of(' ') + 1, 300));
}

/// Whether a byte may not follow another in an answer: the grammar lets through characters that
/// UTF-8 writes shorter or not at all, and halves of pairs of surrogates, also by \u.
bool ends_badly(char before, char next) {
  const auto byte = static_cast<unsigned char>(next);
  switch (static_cast<unsigned char>(before)) {
    case 0xE0:
      return byte < 0xA0;
    case 0xED:
      return byte >= 0xA0;
    case 0xF0:
      return byte < 0x90;
    case 0xF4:
      return byte >= 0x90;
    default:
      return before == '\\' && next == 'u';
  }
}

/// Whether no answer holds the byte: a control character, or what UTF-8 has no use for.
bool never_said(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0xC0 || byte == 0xC1 || byte > 0xF4;
}

/// What tokens add to an answer. Empty is never allowed: neither are line ends, since answers have
/// one line.
std::vector<std::string> texts_of(const Tokenizer& tokenizer, int64_t vocabulary) {
  std::vector<std::string> texts(static_cast<size_t>(vocabulary));
  for (int64_t id = 0; id < std::min(vocabulary, tokenizer.size()); ++id) {
    std::string text = tokenizer.bytes(id);
    const bool bad = std::adjacent_find(text.begin(), text.end(), ends_badly) != text.end();
    if (bad || std::any_of(text.begin(), text.end(), never_said)) continue;
    texts[static_cast<size_t>(id)] = std::move(text);
  }
  return texts;
}

/// The vocabulary as the compiler knows it.
struct Tokens {
  Tokens(const Tokenizer& tokenizer, int64_t vocabulary, const std::vector<int64_t>& stop_ids)
      : texts(texts_of(tokenizer, vocabulary)),
        known(texts, xgrammar::VocabType::RAW, static_cast<int>(vocabulary),
              std::vector<int32_t>(stop_ids.begin(), stop_ids.end()), false),
        compiler(known, at::get_num_threads(), true, kRememberedBytes) {
    for (const char before : kWatched) {
      std::vector<size_t>& ids = barred[before];
      for (size_t id = 0; id < texts.size(); ++id) {
        if (!texts[id].empty() && ends_badly(before, texts[id].front())) ids.push_back(id);
      }
    }
  }

  std::vector<std::string> texts;              // [V]
  std::map<char, std::vector<size_t>> barred;  // tokens that may not follow a byte
  xgrammar::TokenizerInfo known;
  xgrammar::GrammarCompiler compiler;
};

class GrammarConstraint : public TokenConstraint {
 public:
  /// `name` is what error texts call the grammar.
  GrammarConstraint(std::shared_ptr<const Tokens> tokens, const xgrammar::CompiledGrammar& grammar,
                    std::string name)
      : name_(std::move(name)),
        tokens_(std::move(tokens)),
        matcher_(grammar),
        allowed_((tokens_->texts.size() + 31) / 32) {}

  void mask(std::span<float> scores) override {
    check(scores.size() == tokens_->texts.size(), ErrorCode::kInternal,
          "scores: expected " + std::to_string(tokens_->texts.size()) + ", got " +
              std::to_string(scores.size()));
    if (!fill()) return;
    for (size_t word = 0; word < allowed_.size(); ++word) {
      const size_t first = 32 * word;
      const size_t count = std::min<size_t>(32, scores.size() - first);
      for (uint32_t never = ~static_cast<uint32_t>(allowed_[word]); never != 0;
           never &= never - 1) {
        const auto bit = static_cast<size_t>(std::countr_zero(never));
        if (bit < count) scores[first + bit] = kNever;
      }
    }
    if (last_ == 0) return;
    for (const size_t id : tokens_->barred.at(last_)) scores[id] = kNever;
  }

  void accept(int64_t id) override {
    bool taken = false;
    try {
      taken = matcher_.AcceptToken(static_cast<int32_t>(id));
    } catch (const std::exception& problem) {
      throw Error(ErrorCode::kInternal, name_ + ": " + reason(problem));
    }
    check(taken, ErrorCode::kInternal,
          name_ + ": expected a token that it allows, got " + std::to_string(id));
    for (const char c : tokens_->texts[static_cast<size_t>(id)]) {
      const bool escaped = c == '\\' && last_ == '\\';
      last_ = kWatched.find(c) != kWatched.npos && !escaped ? c : '\0';
    }
  }

 private:
  /// Whether some token may not come next; then `allowed_` says which may.
  bool fill() {
    auto words = static_cast<int64_t>(allowed_.size());
    DLTensor bits{};
    bits.data = allowed_.data();
    bits.device = {kDLCPU, 0};
    bits.ndim = 1;
    bits.dtype = xgrammar::GetBitmaskDLType();
    bits.shape = &words;
    try {
      return matcher_.FillNextTokenBitmask(&bits);
    } catch (const std::exception& problem) {
      throw Error(ErrorCode::kInternal, name_ + ": " + reason(problem));
    }
  }

  const std::string name_;
  const std::shared_ptr<const Tokens> tokens_;
  xgrammar::GrammarMatcher matcher_;
  std::vector<int32_t> allowed_;  // a bit a token
  char last_ = 0;                 // byte, if it is watched; not a backslash that is escaped
};

}  // namespace

struct JsonConstraints::State {
  TokenizerPtr tokenizer;
  int64_t vocabulary;
  std::vector<int64_t> stop_ids;
  std::once_flag once;
  std::shared_ptr<Tokens> tokens;

  Tokens& known_tokens() {
    std::call_once(once, [this] {
      check(!stop_ids.empty(), ErrorCode::kFailedPrecondition,
            "json_schema, grammar: expected a model with a token that ends an answer, got none");
      tokens = std::make_shared<Tokens>(*tokenizer, vocabulary, stop_ids);
    });
    return *tokens;
  }

  /// A constraint by what `compile` makes; `name` is what error texts call it.
  template <class Compile>
  std::shared_ptr<TokenConstraint> compiled(const char* name, Compile compile) {
    Tokens& known = known_tokens();
    try {
      return std::make_shared<GrammarConstraint>(tokens, compile(known.compiler), name);
    } catch (const std::exception& problem) {
      known.compiler.ClearCache();  // it remembers failures, too, and counts them as nothing
      throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": " + reason(problem));
    }
  }
};

JsonConstraints::JsonConstraints(TokenizerPtr tokenizer, int64_t vocabulary,
                                 std::vector<int64_t> stop_ids)
    : state_(new State{std::move(tokenizer), vocabulary, std::move(stop_ids), {}, {}}) {}

JsonConstraints::~JsonConstraints() = default;

std::shared_ptr<TokenConstraint> JsonConstraints::make(const std::string& schema) const {
  const std::string exact = exact_schema(schema).dump();
  return state_->compiled("json_schema", [&exact](xgrammar::GrammarCompiler& compiler) {
    return compiler.CompileJSONSchema(exact, false, std::nullopt, std::nullopt, false);
  });
}

std::shared_ptr<TokenConstraint> JsonConstraints::of_grammar(const std::string& grammar) const {
  return state_->compiled("grammar", [&grammar](xgrammar::GrammarCompiler& compiler) {
    return compiler.CompileGrammar(grammar, "root");
  });
}

}  // namespace lv::llm
