#include "llm/kv/kv_store.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv::llm {
namespace {

constexpr int32_t kForgotten = -1;

int64_t pages_for(int64_t tokens, int64_t slots) { return (tokens + slots - 1) / slots; }

/// Pages of `tokens` in all layers.
int64_t pages_of(const KvShape& shape, int64_t tokens) {
  if (shape.kv_heads == 0) return 0;
  int64_t pages = 0;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const int64_t groups = shape.groups.empty() ? 1 : shape.groups[static_cast<size_t>(layer)];
    pages += groups * pages_for(tokens, shape.page_tokens * groups);
  }
  return pages;
}

const KvShape& checked(const KvShape& shape) {
  check(shape.layers >= 0 && shape.kv_heads >= 0 && shape.head_size >= 0, ErrorCode::kInternal,
        "kv store: expected no negative sizes");
  check(shape.page_tokens > 0, ErrorCode::kInternal, "kv store: expected pages to hold tokens");
  check(shape.groups.empty() || static_cast<int64_t>(shape.groups.size()) == shape.layers,
        ErrorCode::kInternal, "kv store: expected the groups of each layer");
  for (const int64_t groups : shape.groups) {
    check(groups > 0 && shape.kv_heads % groups == 0, ErrorCode::kInternal,
          "kv store: expected " + std::to_string(shape.kv_heads) +
              " heads to be in groups of one size, got " + std::to_string(groups) + " groups");
  }
  check(shape.coded.empty() || static_cast<int64_t>(shape.coded.size()) == shape.layers,
        ErrorCode::kInternal, "kv store: expected of each layer whether it codes");
  if (shape.kivi) check_kivi(*shape.kivi, shape.head_size, "kv store");
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const bool grouped = !shape.groups.empty() && shape.groups[static_cast<size_t>(layer)] > 1;
    check(!grouped || !shape.codes(layer), ErrorCode::kInternal,
          "kv store: expected one group where tokens are coded");
  }
  return shape;
}

std::string unknown(SequenceId sequence) {
  return "kv store: no sequence " + std::to_string(static_cast<uint64_t>(sequence));
}

}  // namespace

int64_t KvShape::token_bytes() const {
  return 2 * layers * kv_heads * head_size * static_cast<int64_t>(c10::elementSize(dtype));
}

namespace {

KvRows gather_uncoded(const KvView& view, std::span<const TokenRange> ranges) {
  const int64_t slots = view.slots();
  std::vector<int64_t> pages;
  std::vector<TokenRange> within;  // `pages`, as tokens
  for (const TokenRange& range : ranges) {
    if (range.size() == 0) continue;
    const int64_t first = range.begin / slots;
    const int64_t last = pages_for(range.end, slots);
    const int64_t shift = (static_cast<int64_t>(pages.size()) - first) * slots;
    for (int64_t i = first; i < last; ++i) {
      const int32_t page = view.table[static_cast<size_t>(i)];
      check(page != kForgotten, ErrorCode::kInternal, "kv store: these tokens were forgotten");
      pages.push_back(page);
    }
    within.push_back({range.begin + shift, range.end + shift});
  }
  const at::Tensor chosen = sent(pages, view.keys.device());
  const auto rows = [&](const at::Tensor& pool) {
    const at::Tensor all = pool.index_select(0, chosen).flatten(0, 1);
    if (within.size() == 1) return all.slice(0, within[0].begin, within[0].end);
    std::vector<at::Tensor> parts{all.slice(0, 0, 0)};
    for (const TokenRange& range : within) parts.push_back(all.slice(0, range.begin, range.end));
    return at::cat(parts);
  };
  return {rows(view.keys), rows(view.values)};
}

KvRows gather_coded(const KvView& view, TokenRange range) {
  const CodedTokens& coded = view.coded;
  const int64_t group = coded.format.group;
  const auto first = static_cast<size_t>(range.begin / group);
  const std::span<const int32_t> table =
      coded.table.subspan(first, static_cast<size_t>(pages_for(range.end, group)) - first);
  const at::Tensor pages = at::tensor(at::ArrayRef<int32_t>(table.data(), table.size()), at::kInt)
                               .to(coded.keys.device());
  const auto rows = [&](const at::Tensor& pool, const auto& decode) {
    const int64_t begin = range.begin % group;
    return decode(pool.index_select(0, pages), coded.format, view.keys.size(2), view.keys.size(3))
        .slice(0, begin, begin + range.size())
        .to(view.keys.scalar_type());
  };
  return {rows(coded.keys, kivi_decode_keys), rows(coded.values, kivi_decode_values)};
}

}  // namespace

KvRows gather(const KvView& view, std::span<const TokenRange> ranges) {
  const int64_t coded = view.coded.tokens();
  if (coded == 0) return gather_uncoded(view, ranges);
  std::vector<at::Tensor> keys;
  std::vector<at::Tensor> values;
  const auto add = [&](const KvRows& rows) {
    keys.push_back(rows.keys);
    values.push_back(rows.values);
  };
  std::vector<TokenRange> uncoded;
  for (const TokenRange& range : ranges) {
    const TokenRange before{range.begin, std::min(range.end, coded)};
    if (before.size() > 0) add(gather_coded(view, before));
    const TokenRange behind{std::max(range.begin, coded) - coded, range.end - coded};
    if (behind.size() > 0) uncoded.push_back(behind);
  }
  add(gather_uncoded(view, uncoded));
  return {at::cat(keys), at::cat(values)};
}

KvStore::KvStore(KvShape shape, int64_t capacity_tokens)
    : shape_(checked(shape)),
      capacity_tokens_(capacity_tokens > 0 ? capacity_tokens : std::numeric_limits<int64_t>::max()),
      pool_(shape.page_tokens * shape.kv_heads * shape.head_size, pages_of(shape, capacity_tokens),
            at::device(shape.device).dtype(shape.dtype)),
      codes_(shape.kivi ? shape.kivi->page_bytes(shape.kv_heads, shape.head_size) : 0,
             /*limit_pages=*/0, at::device(shape.device).dtype(at::kByte)) {
  first_table_.push_back(0);
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    first_table_.push_back(first_table_.back() + static_cast<size_t>(groups(layer)));
  }
}

KvStore::Sequence& KvStore::find(SequenceId sequence) {
  return const_cast<Sequence&>(std::as_const(*this).find(sequence));
}

const KvStore::Sequence& KvStore::find(SequenceId sequence) const {
  const auto it = sequences_.find(sequence);
  check(it != sequences_.end(), ErrorCode::kInternal, unknown(sequence));
  return it->second;
}

size_t KvStore::table_at(int64_t layer, int64_t group) const {
  check(layer >= 0 && layer < shape_.layers, ErrorCode::kInternal,
        "kv store: no layer " + std::to_string(layer));
  check(group >= 0 && group < groups(layer), ErrorCode::kInternal,
        "kv store: no group " + std::to_string(group) + " in layer " + std::to_string(layer));
  return first_table_[static_cast<size_t>(layer)] + static_cast<size_t>(group);
}

int64_t KvStore::groups(int64_t layer) const {
  return shape_.groups.empty() ? 1 : shape_.groups[static_cast<size_t>(layer)];
}

at::Tensor KvStore::shaped(const at::Tensor& pool, int64_t layer) const {
  return pool.view({pool.size(0), slots(layer), shape_.kv_heads / groups(layer), shape_.head_size});
}

SequenceId KvStore::create() {
  const auto id = static_cast<SequenceId>(next_++);
  sequences_[id].resize(first_table_.back());
  return id;
}

/// Pages for `added` tokens more, of which the first may have to be copied from a shared page.
void KvStore::make_writable(Table& table, int64_t slots, int64_t added) {
  const int64_t length = uncoded(table);
  const int64_t used = length % slots;
  if (used > 0 && added > 0 && pool_.shared(table.pages.back())) {
    const int32_t copy = pool_.take();
    for (const at::Tensor* pool : {&pool_.keys(), &pool_.values()}) {
      (*pool)[copy].copy_((*pool)[table.pages.back()]);
    }
    pool_.release(table.pages.back());
    table.pages.back() = copy;
  }
  const auto needed = static_cast<size_t>(pages_for(length + added, slots));
  while (table.pages.size() < needed) table.pages.push_back(pool_.take());
}

/// Adds the slots of the next `count` tokens of a table that has pages for them.
void KvStore::add_places(const Table& table, int64_t slots, int64_t count,
                         std::vector<int64_t>& places) const {
  const int64_t first = uncoded(table);
  for (int64_t token = first; token < first + count; ++token) {
    places.push_back(table.pages[static_cast<size_t>(token / slots)] * slots + token % slots);
  }
}

/// Rows [n, heads, Dh] to slots of a layer's pages.
void KvStore::write(const std::vector<int64_t>& places, int64_t layer, const at::Tensor& keys,
                    const at::Tensor& values) {
  if (places.empty()) return;
  if (!pool_.keys().is_cpu()) {
    const at::Tensor slots = sent(places, pool_.keys().device());
    const auto copy = [&](const at::Tensor& pool, const at::Tensor& rows) {
      shaped(pool, layer).flatten(0, 1).index_copy_(0, slots, rows.to(pool.scalar_type()));
    };
    copy(pool_.keys(), keys);
    copy(pool_.values(), values);
    return;
  }
  const auto copy = [&](const at::Tensor& pool, const at::Tensor& rows) {
    const at::Tensor dense = rows.to(pool.scalar_type()).contiguous();
    const auto* from = static_cast<const char*>(dense.const_data_ptr());
    auto* to = static_cast<char*>(pool.mutable_data_ptr());
    const size_t row_bytes = dense.nbytes() / places.size();
    for (size_t i = 0; i < places.size();) {
      size_t end = i + 1;
      while (end < places.size() && places[end] == places[end - 1] + 1) ++end;
      std::memcpy(to + static_cast<size_t>(places[i]) * row_bytes, from + i * row_bytes,
                  (end - i) * row_bytes);
      i = end;
    }
  };
  copy(pool_.keys(), keys);
  copy(pool_.values(), values);
}

void KvStore::append(std::span<const SequenceId> sequences, std::span<const int32_t> offsets,
                     int64_t layer, const at::Tensor& keys, const at::Tensor& values) {
  check(offsets.size() == sequences.size() + 1, ErrorCode::kInternal,
        "kv store: expected an offset for each sequence and the end");
  check_shape(keys, "keys", {offsets.back(), shape_.kv_heads, shape_.head_size});
  check_shape(values, "values", {offsets.back(), shape_.kv_heads, shape_.head_size});
  const size_t first = table_at(layer, 0);
  const int64_t heads = shape_.kv_heads / groups(layer);
  std::vector<int64_t> places;
  for (int64_t group = 0; group < groups(layer); ++group) {
    places.clear();
    for (size_t s = 0; s < sequences.size(); ++s) {
      Table& table = find(sequences[s])[first + static_cast<size_t>(group)];
      const int64_t count = offsets[s + 1] - offsets[s];
      make_writable(table, slots(layer), count);
      add_places(table, slots(layer), count, places);
      table.length += count;
    }
    const int64_t head = group * heads;
    write(places, layer, keys.slice(1, head, head + heads), values.slice(1, head, head + heads));
  }
}

void KvStore::append(SequenceId sequence, int64_t layer, const at::Tensor& keys,
                     const at::Tensor& values) {
  const std::array<int32_t, 2> all{0, static_cast<int32_t>(keys.size(0))};
  append({&sequence, 1}, all, layer, keys, values);
}

std::vector<KvStore::Room> KvStore::extend(SequenceId sequence) {
  Sequence& tables = find(sequence);
  check(static_cast<int64_t>(tables.size()) == shape_.layers, ErrorCode::kInternal,
        "kv store: expected layers of one group");
  std::vector<Room> rooms;
  for (Table& table : tables) {
    make_writable(table, shape_.page_tokens, 1);
    rooms.push_back({table.pages, ++table.length});
  }
  return rooms;
}

KvView KvStore::pages(int64_t layer) const {
  check(layer >= 0 && layer < shape_.layers && groups(layer) == 1, ErrorCode::kInternal,
        "kv store: expected a layer of one group, got " + std::to_string(layer));
  return {shaped(pool_.keys(), layer), shaped(pool_.values(), layer), {}, 0};
}

void KvStore::leave_out(SequenceId sequence, int64_t layer, int64_t tokens) {
  for (int64_t group = 0; group < groups(layer); ++group) {
    Table& table = find(sequence)[table_at(layer, group)];
    table.compacted += table.length - table.chosen + tokens;
    table.chosen = table.length;
  }
}

KvView KvStore::view(SequenceId sequence, int64_t layer, int64_t group) const {
  const Table& table = find(sequence)[table_at(layer, group)];
  KvView view{shaped(pool_.keys(), layer), shaped(pool_.values(), layer), table.pages,
              table.length};
  if (shape_.codes(layer)) view.coded = {codes_.keys(), codes_.values(), table.coded, *shape_.kivi};
  return view;
}

int64_t KvStore::length(SequenceId sequence, int64_t layer) const {
  return find(sequence)[table_at(layer, 0)].length;
}

void KvStore::shrink(Table& table, int64_t length, int64_t slots) {
  if (length < coded_tokens(table)) {
    const auto codes = static_cast<size_t>(length / shape_.kivi->group);
    for (size_t i = codes; i < table.coded.size(); ++i) codes_.release(table.coded[i]);
    table.coded.resize(codes);
  }
  const auto kept = static_cast<size_t>(pages_for(length - coded_tokens(table), slots));
  for (size_t i = kept; i < table.pages.size(); ++i) {
    if (table.pages[i] != kForgotten) pool_.release(table.pages[i]);
  }
  table.pages.resize(std::min(kept, table.pages.size()));
  table.length = length;
}

/// Whether a sequence can end after `tokens`, in every table.
void KvStore::check_reaches(const Sequence& tables, int64_t tokens) const {
  check(tokens >= 0, ErrorCode::kInternal, "kv store: cannot keep fewer than no tokens");
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    for (int64_t group = 0; group < groups(layer); ++group) {
      const Table& table = tables[table_at(layer, group)];
      check(tokens == 0 || tokens >= table.compacted, ErrorCode::kFailedPrecondition,
            "kv store: the first " + std::to_string(table.compacted) + " tokens were chosen from");
      const int64_t left = table.left_of(tokens);
      const int64_t coded = coded_tokens(table);
      if (left < coded) {
        check(left % shape_.kivi->group == 0, ErrorCode::kFailedPrecondition,
              "kv store: tokens before " + std::to_string(tokens) + " are coded in groups of " +
                  std::to_string(shape_.kivi->group));
        continue;
      }
      const auto last = static_cast<size_t>((left - coded) / slots(layer));
      check((left - coded) % slots(layer) == 0 || table.pages[last] != kForgotten,
            ErrorCode::kFailedPrecondition,
            "kv store: tokens before " + std::to_string(tokens) + " were forgotten");
    }
  }
}

void KvStore::truncate(SequenceId sequence, int64_t tokens) {
  Sequence& tables = find(sequence);
  check_reaches(tables, tokens);
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    for (int64_t group = 0; group < groups(layer); ++group) {
      Table& table = tables[table_at(layer, group)];
      shrink(table, table.left_of(tokens), slots(layer));
      if (tokens == 0) table.compacted = table.chosen = 0;
    }
  }
}

void KvStore::forget(SequenceId sequence, int64_t layer, int64_t group, TokenRange range) {
  check(!shape_.codes(layer), ErrorCode::kInternal,
        "kv store: layer " + std::to_string(layer) + " codes tokens and forgets none");
  Table& table = find(sequence)[table_at(layer, group)];
  const int64_t size = slots(layer);
  const int64_t end = std::min(range.end, table.length) / size;
  for (int64_t i = pages_for(range.begin, size); i < end; ++i) {
    int32_t& page = table.pages[static_cast<size_t>(i)];
    if (page == kForgotten) continue;
    pool_.release(page);
    page = kForgotten;
  }
}

void KvStore::compact(SequenceId sequence, int64_t layer, int64_t group, const at::Tensor& kept) {
  check_shape(kept, "kept", {-1});
  Table& table = find(sequence)[table_at(layer, group)];
  const TokenRange all{0, table.length};
  const KvRows rows = gather(view(sequence, layer, group), {&all, 1});
  const at::Tensor chosen = kept.to(shape_.device);
  const at::Tensor keys = rows.keys.index_select(0, chosen);
  const at::Tensor values = rows.values.index_select(0, chosen);
  table.compacted += table.length - table.chosen;  // all that was appended
  shrink(table, 0, slots(layer));
  make_writable(table, slots(layer), keys.size(0));
  std::vector<int64_t> places;
  add_places(table, slots(layer), keys.size(0), places);
  write(places, layer, keys, values);
  table.length = table.chosen = keys.size(0);
}

void KvStore::code(SequenceId sequence) {
  if (!shape_.kivi) return;
  Sequence& tables = find(sequence);
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    if (shape_.codes(layer)) code(tables[table_at(layer, 0)], layer, view(sequence, layer));
  }
}

void KvStore::code(Table& table, int64_t layer, const KvView& view) {
  const KiviFormat& format = *shape_.kivi;
  const int64_t unit = std::lcm(format.group, slots(layer));  // whole pages of both kinds
  const int64_t units = std::max<int64_t>(0, uncoded(table) - format.residual) / unit;
  const int64_t pages = units * (unit / format.group);
  if (pages == 0) return;
  const int64_t begin = coded_tokens(table);
  const TokenRange oldest{begin, begin + pages * format.group};
  const KvRows rows = gather(view, {&oldest, 1});
  std::vector<int32_t> taken;
  for (int64_t i = 0; i < pages; ++i) taken.push_back(codes_.take());
  const at::Tensor places = at::tensor(taken, at::kInt).to(shape_.device, at::kLong);
  codes_.keys().index_copy_(0, places, kivi_encode_keys(rows.keys, format));
  codes_.values().index_copy_(0, places, kivi_encode_values(rows.values, format));
  table.coded.insert(table.coded.end(), taken.begin(), taken.end());
  const auto emptied = table.pages.begin() + pages * format.group / slots(layer);
  std::for_each(table.pages.begin(), emptied, [&](int32_t page) { pool_.release(page); });
  table.pages.erase(table.pages.begin(), emptied);
}

SequenceId KvStore::fork(SequenceId sequence, int64_t tokens) {
  Sequence copy = find(sequence);
  check_reaches(copy, tokens);
  for (Table& table : copy) {
    for (const int32_t page : table.pages) {
      if (page != kForgotten) pool_.share(page);
    }
    for (const int32_t page : table.coded) codes_.share(page);
  }
  const auto id = static_cast<SequenceId>(next_++);
  sequences_[id] = std::move(copy);
  truncate(id, tokens);
  return id;
}

void KvStore::drop(SequenceId sequence) {
  truncate(sequence, 0);
  sequences_.erase(sequence);
}

int64_t KvStore::free_pages() const {
  const int64_t codes = codes_.used_pages() * codes_.page_bytes();
  return pool_.free_pages() - (codes > 0 ? pages_for(codes, pool_.page_bytes()) : 0);
}

int64_t KvStore::shared_pages(SequenceId sequence) const {
  int64_t shared = 0;
  for (const Table& table : find(sequence)) {
    shared += std::count_if(table.pages.begin(), table.pages.end(),
                            [&](int32_t page) { return page != kForgotten && pool_.shared(page); });
  }
  return shared;
}

int64_t KvStore::pages_for_new(int64_t tokens) const { return pages_of(shape_, tokens); }

int64_t KvStore::pages_to_append(SequenceId sequence, int64_t tokens) const {
  if (shape_.kv_heads == 0 || tokens == 0) return 0;
  const Sequence& tables = find(sequence);
  int64_t total = 0;
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    for (int64_t group = 0; group < groups(layer); ++group) {
      const Table& table = tables[table_at(layer, group)];
      const int64_t size = slots(layer);
      const int64_t length = uncoded(table);
      total += pages_for(length + tokens, size) - pages_for(length, size);
      if (length % size > 0 && pool_.shared(table.pages.back())) ++total;
    }
  }
  return total;
}

}  // namespace lv::llm
