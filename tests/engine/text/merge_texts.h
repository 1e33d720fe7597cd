#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/formats/tokenizer_spec.h"

namespace conclave::engine::text {

using StatedMerges = std::vector<std::pair<std::string, std::string>>;

/// Merges of a test as a file would state them; they must outlive the result.
inline formats::MergeTexts textsOf(const StatedMerges& merges) {
    return {merges.size(), [&merges](size_t i) { return formats::MergeTexts::Pair(merges[i]); }};
}

}  // namespace conclave::engine::text
