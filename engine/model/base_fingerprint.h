#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace conclave::engine::model {

/// What a model must share with another so that adapters of the one belong on the other: architecture, shapes
/// and vocabulary, as one line of "key=value" behind the number of the form, the same from every kind of
/// file. AdapterFile::baseFingerprint is one. `tokens` is library::tokensFingerprint() of its tokenizer;
/// empty where it is not known.
std::string baseFingerprint(const ModelConfig& config, const std::string& tokens = {});

/// Whether an adapter with the fingerprint `wanted` belongs on the model with the fingerprint `model`.
/// Tokens are compared where both say theirs. `file` and `field` say where `wanted` stands. Errors:
/// AdapterMismatch with the first that differs, architecture before shapes before the vocabulary;
/// UnsupportedOption for a form that is not known here; ValueOutOfRange for what is no fingerprint.
base::Result<void> checkFingerprint(std::string_view wanted, std::string_view model, const std::string& file,
                                    const std::string& field);

}  // namespace conclave::engine::model
