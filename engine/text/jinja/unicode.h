#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace conclave::engine::text::jinja {

// Python's view of characters (str.isspace, str.isalpha …), of which templates see the outcome. Text is valid
// UTF-8.

bool isSpace(char32_t c);      ///< str.isspace, \s
bool isPrintable(char32_t c);  ///< what repr() shows as it is
bool isAlpha(char32_t c);
bool isDecimal(char32_t c);
bool isNumeric(char32_t c);
bool isWord(char32_t c);  ///< \w
bool isUpper(char32_t c);
bool isLower(char32_t c);
inline bool isCased(char32_t c) {
    return isUpper(c) || isLower(c);
}
bool isLineBreak(char32_t c);  ///< where str.splitlines cuts

/// Append the upper, lower or title form of `c`.
void appendUpper(std::string& out, char32_t c);
void appendLower(std::string& out, char32_t c);
void appendTitle(std::string& out, char32_t c);

/// There is a cased character and none of the `other` case: str.islower and str.isupper.
bool hasOneCase(std::string_view text, bool (*other)(char32_t));

/// Number of characters.
size_t countCharacters(std::string_view text);
/// Byte offset of character `index`, or text.size() when there are fewer.
size_t byteOffset(std::string_view text, size_t index);
/// The character that ends at byte `end` (> 0); moves `end` to where it begins.
char32_t previousCharacter(std::string_view text, size_t& end);

/// Byte offsets of the text without white space at its left and right.
size_t skipSpaceLeft(std::string_view text, size_t from = 0);
size_t skipSpaceRight(std::string_view text);

}  // namespace conclave::engine::text::jinja
