#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"

namespace conclave::engine::offline {

/// Whether control tokens are recognised in the text and a beginning-of-text token is added as the vocabulary
/// asks.
enum class SpecialTokens { Plain, Parsed };

/// The ids of `text` under the model at `path` (a GGUF file, vocabulary-only ones too, or a Hugging Face
/// folder).
base::Result<std::vector<base::TokenId>> tokenize(const std::string& path, std::string_view text,
                                                  SpecialTokens special);

}  // namespace conclave::engine::offline
