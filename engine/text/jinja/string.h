#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/text.h"

namespace conclave::engine::text::jinja {

// Python's string operations on texts that know where they come from: every piece keeps its trust.

/// The first occurrence at or after `from`, and the last, or npos: in about linear time, whatever the texts
/// are.
size_t findFirst(std::string_view text, std::string_view wanted, size_t from = 0);
size_t findLast(std::string_view text, std::string_view wanted);

enum class Side : uint8_t { Both, Left, Right };

/// str.strip: of white space, or of the characters in *chars.
Text stripped(const Text& text, Side side, const std::string_view* chars = nullptr);
/// str.replace; count < 0: all.
Text replaced(const Text& text, std::string_view old, const Text& with, int64_t count, Meter& meter);
Text upper(const Text& text);
Text lower(const Text& text);
Text swapCase(const Text& text);
/// First character to title case, the others to lower case.
Text capitalized(const Text& text);
/// str.title: words are runs of letters.
Text titled(const Text& text);
/// The filter: words begin after - ( { [ < and white space.
Text titledByWords(const Text& text);

/// str.ljust, rjust and center (Side: where the text stays).
Text padded(const Text& text, Side side, int64_t width, const Text& fill, Meter& meter);

/// str.split and rsplit with a separator; most < 0: all.
std::vector<Text> split(const Text& text, std::string_view separator, int64_t most, bool fromRight);
/// The same at runs of white space.
std::vector<Text> splitAtSpace(const Text& text, int64_t most, bool fromRight);
/// str.splitlines
std::vector<Text> lines(const Text& text, bool keepEnds);

/// Calls with each character, mapped, in runs that keep their trust.
Text mapped(const Text& text, const std::function<void(std::string& out, char32_t c)>& map);

}  // namespace conclave::engine::text::jinja
