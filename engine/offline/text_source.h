#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::offline {

/// Texts to run through a model.
struct TextSource {
    std::string name{};                ///< what the person called it
    std::vector<std::string> texts{};  ///< valid UTF-8, one a file
    uint32_t skipped = 0;              ///< files of a folder that are empty, too large or no text
};

/// A file, or the files of a folder and of those below it in the order of their paths. What begins with a dot
/// and symbolic links inside are passed over; a file that is empty, above 16 MiB, not UTF-8 or holds a NUL
/// counts as skipped. Errors: what reading a file says, InvalidUtf8 for a single one that is no text,
/// BadArgument for a folder without texts or with more than 256 MiB of them.
base::Result<TextSource> readTexts(const std::string& path);

/// A text that is there already. Errors: InvalidUtf8, BadArgument where it is empty.
base::Result<TextSource> textSource(std::string name, std::string text);

}  // namespace conclave::engine::offline
