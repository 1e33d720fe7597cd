#pragma once

#include <span>
#include <string_view>

#include "engine/text/jinja/callable.h"

namespace conclave::engine::text::jinja {

/// The method of that name which the value has, or null.
const FunctionRow* findMethod(const Value& value, std::string_view name);

std::span<const FunctionRow> stringMethods();

/// What dict(mapping or pairs, name=value …) puts into a dict.
void fillDict(Interpreter& in, DictObject& dict, const Args& args);

}  // namespace conclave::engine::text::jinja
