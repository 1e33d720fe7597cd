#pragma once

#include <string>
#include <vector>

namespace conclave::engine::text {

/// A run of prompt text and where it came from. Only trusted text (what a chat template itself wrote, or a
/// caller who asked for it) is searched for control tokens; a user's words never are.
struct TextSpan {
    std::string text;
    bool trusted = false;
};

}  // namespace conclave::engine::text
