#pragma once

#include <string>

#include "pipeline/base/json.h"

namespace lv::llm {

/// The schema in the few words that the grammar's compiler takes exactly: every text of that
/// grammar is JSON which any reader takes and which obeys `schema`. Where a schema leaves much open
/// the grammar admits less:
/// - an object with named properties has no others, and has them in the schema's order;
/// - integers stay within 2^53, numbers within 1e15, with six decimals and no exponent;
/// - a string with a limit on its length has no escapes in it.
///
/// Understood are type, enum, const, anyOf, $ref within the document, properties, required,
/// additionalProperties, items, prefixItems, the limits on numbers, lengths and counts of items,
/// and annotations; `format` helps where it can. Throws kInvalidArgument, with the place, on any
/// other keyword, on what no text satisfies, and on what would take too long to compile.
/// Reference: JSON Schema 2020-12.
Json exact_schema(const std::string& schema);

}  // namespace lv::llm
