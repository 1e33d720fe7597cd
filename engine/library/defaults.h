#pragma once

#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/library/library.h"

namespace conclave::engine::library {

/// What a model's files say beside weights and vocabulary. A value of the wrong type or out of range is left
/// out with a warning: it is advice to whoever samples, and the model is good without it.
struct Advice {
    GenerationDefaults defaults;
    std::vector<int64_t> endTokens;  ///< as written; not yet compared with the vocabulary
    std::vector<std::string> warnings;
};

/// generation_config.json (sampling, max_new_tokens, eos_token_id) and config.json (eos_token_id).
Advice adviceOf(const formats::HfFolder& folder);
/// general.sampling.{temp,top_k,top_p,min_p,penalty_repeat,penalty_last_n}; the end tokens of GGUF are in the
/// vocabulary.
Advice adviceOf(const formats::GgufFile& file);

}  // namespace conclave::engine::library
