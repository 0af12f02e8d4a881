#include "services/tasks/evidence.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "services/tasks/result.h"
#include "services/tasks/retrieval.h"

namespace lv::services {
namespace {

using Terms = std::vector<std::string>;

constexpr size_t kMostPieces = 8;

/// Something that an answer may quote.
struct Candidate {
  Evidence evidence;
  Terms terms;   // of the quote
  Terms beside;  // of what stands in its row
};

/// What only joins an answer together, and so is no sign of where it comes from.
bool joins(const std::string& term) {
  static const std::set<std::string> all = {
      "a",  "an", "the", "is", "are", "was", "were", "be",   "of",   "in", "on",
      "at", "to", "for", "by", "and", "it",  "its",  "this", "that", "as", "with"};
  return all.contains(term);
}

/// The words of the answer that say something new; all of them if none does.
Terms core_of(const std::string& answer, const std::string& question) {
  const Terms said = terms_of(answer), asked = terms_of(question);
  const std::set<std::string> known(asked.begin(), asked.end());
  Terms core;
  for (const std::string& term : said) {
    if (!joins(term) && !known.contains(term)) core.push_back(term);
  }
  return core.empty() ? said : core;
}

void add_pages(const std::vector<ReadPage>& pages, std::vector<Candidate>& all) {
  for (const ReadPage& page : pages) {
    for (const vision::PageCell& cell : page.cells) {
      Candidate candidate;
      candidate.evidence = {page.source, EvidenceKind::kBox, {}, {}, {}, cell.box, cell.text, 0};
      if (page.number > 0) candidate.evidence.page = page.number;
      candidate.terms = terms_of(cell.text);
      for (const vision::PageCell& other : page.cells) {
        if (other.row != cell.row) continue;
        for (std::string& term : terms_of(other.text)) candidate.beside.push_back(std::move(term));
      }
      all.push_back(std::move(candidate));
    }
  }
}

void add_times(const TaskResult& result, std::vector<Candidate>& all) {
  for (const vision::ScreenText& text : result.screen_text) {
    const Terms terms = terms_of(text.text);
    all.push_back(
        {{0, EvidenceKind::kBox, text.start_seconds, text.end_seconds, {}, text.box, text.text, 0},
         terms,
         terms});
  }
  for (const SpeechSegment& speech : result.transcript) {
    const Terms terms = terms_of(speech.text);
    all.push_back(
        {{0, EvidenceKind::kTime, speech.start_seconds, speech.end_seconds, {}, {}, speech.text, 0},
         terms,
         terms});
  }
}

/// The most words of `core`, one after another, that stand so in `terms`.
size_t longest_run(const Terms& core, const Terms& terms) {
  size_t best = 0;
  for (size_t i = 0; i < core.size(); ++i) {
    for (size_t k = 0; k < terms.size(); ++k) {
      size_t run = 0;
      while (i + run < core.size() && k + run < terms.size() && core[i + run] == terms[k + run]) {
        ++run;
      }
      best = std::max(best, run);
    }
  }
  return best;
}

size_t shared(const Terms& terms, const std::set<std::string>& asked) {
  return static_cast<size_t>(std::ranges::count_if(asked, [&](const std::string& term) {
    return std::ranges::find(terms, term) != terms.end();
  }));
}

}  // namespace

std::vector<Evidence> evidence_for(const std::string& answer, const std::string& question,
                                   const std::vector<ReadPage>& pages, const TaskResult& result) {
  if (answer == kNotFound) return {};
  const Terms core = core_of(answer, question), asked = terms_of(question);
  const std::set<std::string> words(asked.begin(), asked.end());
  std::vector<Candidate> all;
  add_pages(pages, all);
  add_times(result, all);
  const Candidate* best = nullptr;
  std::tuple<size_t, size_t, int64_t> best_rank;
  std::vector<Evidence> pieces;  // what the answer holds whole
  for (Candidate& candidate : all) {
    const size_t run = longest_run(core, candidate.terms);
    if (run == 0) continue;
    candidate.evidence.score = static_cast<double>(run) / static_cast<double>(core.size());
    const std::tuple rank(run, shared(candidate.beside, words),
                          -static_cast<int64_t>(candidate.terms.size()));
    if (best == nullptr || rank > best_rank) {
      best = &candidate;
      best_rank = rank;
    }
    if (run == candidate.terms.size() && pieces.size() < kMostPieces) {
      pieces.push_back(candidate.evidence);
    }
  }
  if (best == nullptr) return {};
  if (2 * std::get<0>(best_rank) >= core.size()) return {best->evidence};
  return pieces.size() > 1 ? pieces : std::vector<Evidence>();
}

std::array<float, 4> united(const std::vector<std::array<float, 4>>& boxes) {
  std::array<float, 4> all = boxes.front();
  for (const std::array<float, 4>& box : boxes) {
    all = {std::min(all[0], box[0]), std::min(all[1], box[1]), std::max(all[2], box[2]),
           std::max(all[3], box[3])};
  }
  return all;
}

std::optional<Evidence> evidence_shown(const Pointed& pointed, const TokenOrigin& tokens) {
  const int64_t count = tokens.source.size(0);
  std::vector<int64_t> rows;
  for (const int64_t row : pointed.rows) {
    if (row >= 0 && row < count) rows.push_back(row);
  }
  if (rows.empty()) return std::nullopt;
  const auto source = tokens.source[rows[0]].item<int32_t>();
  const auto seconds = tokens.pts_seconds[rows[0]].item<double>();
  std::vector<std::array<float, 4>> boxes;
  for (const int64_t row : rows) {
    if (tokens.source[row].item<int32_t>() != source ||
        tokens.pts_seconds[row].item<double>() != seconds) {
      continue;
    }
    const at::Tensor edges = tokens.box[row].to(at::kCPU, at::kFloat).contiguous();
    const float* edge = edges.const_data_ptr<float>();
    boxes.push_back({edge[0], edge[1], edge[2], edge[3]});
  }
  Evidence evidence{source, EvidenceKind::kBox, seconds, seconds, {}, united(boxes), {}, 0};
  evidence.score = pointed.confidence;
  return evidence;
}

}  // namespace lv::services
