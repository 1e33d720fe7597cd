#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/protocol/json.h"

namespace conclave::engine::protocol {

/// Text with %XX as bytes; empty where an escape is broken.
std::optional<std::string> percentDecoded(std::string_view encoded);
/// Every byte but letters, digits, "-._~:@" and those in `alsoPlain` as %XX.
std::string percentEncoded(std::string_view text, std::string_view alsoPlain = {});

/// What the value of a query's field becomes: a string, a number where it is one, a boolean where it is true,
/// false, 1 or 0. What is none of it stays a string, which Fields then refuses.
enum class QueryKind : uint8_t { Text, Number, Flag };
struct QueryField {
    std::string_view name;
    QueryKind kind;
};

/// The query of a request target (what follows '?'; name=value joined by '&', '+' a space, as the WHATWG URL
/// standard has it) as an object for Fields. Errors: UnknownField, InvalidUtf8, and BadArgument for a field
/// that is given twice and a broken escape.
base::Result<Json> parseQuery(std::string_view query, std::span<const QueryField> known);

/// What parseQuery() reads back: the fields of an object, in its order.
std::string queryText(const Json& object);

}  // namespace conclave::engine::protocol
