#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/offline/import_metadata.h"

namespace conclave::engine::offline {

/// tokenizer.ggml.* and tokenizer.chat_template. The vocabulary is filled up to `vocabulary` tokens, as many
/// as the embedding has rows. What GGUF has no key for is said in `warnings`. Errors: VocabularyMismatch,
/// UnknownPreTokenizer, UnsupportedTokenizer, WrongType.
base::Result<Metadata> vocabularyKeys(const formats::HfFolder& folder, const formats::TokenizerSpec& spec,
                                      uint32_t vocabulary, std::vector<std::string>& warnings);

/// Scores with which merging by score does what merging by rank does: the earlier a token is made, the
/// higher. Errors: UnsupportedTokenizer where no such scores exist.
base::Result<std::vector<float>> scoresOf(const formats::TokenizerSpec& spec);

}  // namespace conclave::engine::offline
