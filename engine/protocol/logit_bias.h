#pragma once

#include <vector>

#include "engine/protocol/generation.h"

namespace conclave::engine::protocol {

/// The field logit_bias: {"id": bias} as OpenAI has it, or [[id, bias]] as llama-server does; in both a bias
/// is a number from -100 to 100, or false for a token that must never be chosen. What is wrong is remembered
/// in `fields`. Whether the model has the ids is asked later.
std::vector<TokenBias> readLogitBias(Fields& fields);

/// The second form, which both kinds of server understand least badly: it keeps the order.
Json logitBiasJson(const std::vector<TokenBias>& biases);

}  // namespace conclave::engine::protocol
