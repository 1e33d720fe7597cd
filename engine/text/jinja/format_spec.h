#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/text/jinja/text.h"
#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

/// How one value is shown: what stands behind the colon of {:…} and, translated, behind the % of %….
struct FormatSpec {
    std::string fill = " ";
    char align = '\0';  ///< < > ^ =, or by the type
    char sign = '-';
    bool alternate = false;
    int64_t width = 0;
    char grouping = '\0';  ///< , or _
    std::optional<int64_t> precision;
    char type = '\0';
};

/// Reads Python's format specification. A Failure where it is not one.
FormatSpec parseSpec(std::string_view text);

/// A number in digits (a Failure where the type does not fit), padded.
Text formatNumber(const Value& number, const FormatSpec& spec, Meter& meter);
/// A text, cut to the precision and padded.
Text formatText(const Text& text, const FormatSpec& spec, Meter& meter);

}  // namespace conclave::engine::text::jinja
