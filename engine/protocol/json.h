#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::protocol {

/// JSON of the wire; keeps the order of keys, which templates can see.
using Json = nlohmann::ordered_json;

/// What a document may use up before it is refused. Depth bounds every recursive use of it later, values
/// bounds memory (a body of brackets would otherwise cost forty times its size).
struct JsonLimits {
    size_t depth = 64;
    size_t values = 1'000'000;
};

/// Strict JSON (RFC 8259): one value, no duplicate keys, no numbers outside double, valid UTF-8.
/// Errors: InvalidJson with the byte, InvalidUtf8, LimitExceeded, DuplicateName.
base::Result<Json> parseJson(std::string_view text, JsonLimits limits = {});

/// Compact text of `value`; a string that is not valid UTF-8 has its bad bytes replaced, so that it never
/// fails.
std::string dump(const Json& value);

}  // namespace conclave::engine::protocol
