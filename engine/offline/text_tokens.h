#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/library/library.h"

namespace conclave::engine::offline {

/// The first tokens of a text file, at most so many. Errors: what reading says, BadArgument for a model
/// without a tokenizer, fewer than two tokens in the text and a limit below two.
base::Result<std::vector<base::TokenId>> textTokens(const std::string& path, uint32_t most,
                                                    const library::LoadedModel& model);

}  // namespace conclave::engine::offline
