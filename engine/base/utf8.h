#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace conclave::engine::base {

/// Bytes of `text` before the first byte that is not part of valid UTF-8 (RFC 3629: no overlong forms, no
/// surrogates, nothing above U+10FFFF); text.size() where all is valid.
size_t validUtf8Prefix(std::string_view text);

inline bool isValidUtf8(std::string_view text) {
    return validUtf8Prefix(text) == text.size();
}

/// Length of the longest prefix of `text` that does not end inside a character which further bytes could
/// complete. Bytes that can never become valid are counted as complete.
size_t completeUtf8Prefix(std::string_view text);

/// `text` with each maximal ill-formed run replaced by U+FFFD, as the Unicode standard recommends (3.9, table
/// 3-8).
std::string replaceInvalidUtf8(std::string_view text);

/// Reads one code point at text[at] and moves `at` past it. The text must be valid UTF-8.
char32_t nextCodePoint(std::string_view text, size_t& at);

/// Appends the UTF-8 form of `c`.
void appendUtf8(std::string& out, char32_t c);

}  // namespace conclave::engine::base
