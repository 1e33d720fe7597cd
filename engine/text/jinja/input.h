#pragma once

#include <nlohmann/json.hpp>

#include "engine/text/jinja/interpreter.h"

namespace conclave::engine::text::jinja {

/// What a template is given as `function.arguments` of a tool call, whichever the caller had.
enum class ArgumentStyle : uint8_t { AsGiven, Object, Text };

/// Whether the input has arguments that a style could change.
bool hasToolArguments(const nlohmann::ordered_json& input);

/// Defines the input's variables. Strings are untrusted, except bos_token, eos_token, unk_token and
/// pad_token, and a message's role when it is one of the roles that models are trained with (templates make
/// markers of it, such as
/// '<|' + role + '|>').
void defineInput(Interpreter& in, const nlohmann::ordered_json& input, ArgumentStyle style);

}  // namespace conclave::engine::text::jinja
