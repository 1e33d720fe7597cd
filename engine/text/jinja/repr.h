#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

/// Python's repr() of a string: 'it', "it's", '\n'.
std::string inQuotes(std::string_view text);
/// Python's repr() of a float: the shortest digits that read back, 1.0, 1e+16, nan.
std::string formatFloat(double value);

/// str(value), with the trust of the strings in it: a container's text is trusted only if all its strings
/// are, since punctuation and contents cannot be told apart in it.
Text toText(const Value& value, Meter& meter);
void appendText(Text& out, const Value& value, Meter& meter);
/// repr(value).
Text toRepr(const Value& value, Meter& meter);

/// Python's int(text, base) and float(text).
std::optional<int64_t> parseInteger(std::string_view text, int base);
std::optional<double> parseFloat(std::string_view text);

}  // namespace conclave::engine::text::jinja
