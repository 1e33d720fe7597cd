#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

/// json.dumps of Python with its arguments.
struct JsonStyle {
    bool ensureAscii = false;
    bool sortKeys = false;
    bool indented = false;
    std::string indent;  ///< one level of it
    std::string itemSeparator = ", ";
    std::string keySeparator = ": ";
};

/// A text that is trusted only if all strings in the value are. Fails for what JSON cannot say; generators
/// and views are written as lists.
Text toJson(const Value& value, const JsonStyle& style, Meter& meter);

/// Values of a JSON document; every string gets the same trust. Fails when it nests deeper than the budget,
/// when its text is not UTF-8, and for what is not JSON.
Value fromJson(const nlohmann::ordered_json& json, bool trusted, Heap& heap, uint32_t depth = 0);

}  // namespace conclave::engine::text::jinja
