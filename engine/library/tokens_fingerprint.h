#pragma once

#include <string>

#include "engine/library/library.h"
#include "engine/text/tokenizer.h"

namespace conclave::engine::library {

/// Tells vocabularies apart: the first 16 hexadecimal digits of a SHA-256 over each token's id and bytes. The
/// same from tokenizer.json and from GGUF: ids that stand for no text, with which converters fill up a
/// vocabulary, do not count, nor does what kind of token one is.
std::string tokensFingerprint(const text::Tokenizer& tokenizer);

/// model::baseFingerprint() with its tokens.
std::string baseFingerprint(const LoadedModel& base);

}  // namespace conclave::engine::library
