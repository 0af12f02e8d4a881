#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/types/prompt.h"

namespace lv::services {

struct ReadPage;
struct TaskResult;

/// What of a piece of evidence is told: a time, a page, a box on a page or a picture, or words
/// alone.
enum class EvidenceKind { kTime, kPage, kBox, kQuote };

/// Where an answer comes from. Fields that do not apply are absent.
struct Evidence {
  int32_t source = 0;
  EvidenceKind kind = EvidenceKind::kQuote;
  std::optional<double> start_seconds;
  std::optional<double> end_seconds;
  std::optional<int32_t> page;              // from 1
  std::optional<std::array<float, 4>> box;  // fractions of the page or picture
  std::string quote;
  double score = 0;  // share of the answer's words that the quote holds; of what a model points
                     // at, its confidence
};

/// The answer that says that there is none.
inline constexpr const char* kNotFound = "not found";

/// What the answer quotes: the cell of `pages`, the words said or the text on the screen in
/// `result` that holds the longest run of the answer's words, at least half of them. Of several
/// that hold as much, the one whose row and page share the most words with the question, then the
/// shortest, then the first. Where an answer joins several cells, each that it holds whole. None if
/// the answer is kNotFound, or quotes nothing.
std::vector<Evidence> evidence_for(const std::string& answer, const std::string& question,
                                   const std::vector<ReadPage>& pages, const TaskResult& result);

/// What a model points at, of visual tokens: the source and time of the first, and the box around
/// all that are of both. Nothing if it points at none of them.
std::optional<Evidence> evidence_shown(const Pointed& pointed, const TokenOrigin& tokens);

/// The smallest box around all. At least one.
std::array<float, 4> united(const std::vector<std::array<float, 4>>& boxes);

}  // namespace lv::services
