#pragma once

#include <cstdint>
#include <string_view>

#include "engine/formats/gguf.h"

namespace conclave::engine::synth {

/// tokenizer.* of a byte-level BPE vocabulary of `tokens` tokens (at least 300), which any text can be
/// written with and whose every token decodes to text: the 256 bytes, the end and the beginning, then made-up
/// words of one, two, three … syllables with the merges that spell them. With a plain chat template.
formats::GgufMetadata vocabularyKeys(uint32_t tokens, std::string_view pre);

}  // namespace conclave::engine::synth
