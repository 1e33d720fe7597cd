#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace conclave::engine::text::jinja {

struct NumberLiteral {
    size_t length = 0;
    bool isFloat = false;
    bool tooBig = false;
    int64_t integer = 0;
    double number = 0;
};

/// The number at the beginning of `text`, which begins with a digit: 42, 1_000, 0x1f, 0o17, 0b11, 1.5, 2e3.
/// After a dot
/// (`items.0.name`) no float is read.
NumberLiteral scanNumber(std::string_view text, bool mayBeFloat);

/// Python's escapes in what stands between the quotes. Throws Failure (TemplateSyntax) for broken ones.
std::string unescape(std::string_view text, uint32_t line);

}  // namespace conclave::engine::text::jinja
