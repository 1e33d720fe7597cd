#pragma once

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/interpreter.h"

namespace conclave::engine::text::jinja {

/// Python's binary + - * / // % **. Integers that leave 64 bits are a Failure.
Value arithmetic(Interpreter& in, Operator op, const Value& left, const Value& right);
/// +value or -value.
Value withSign(char sign, const Value& value);
/// item in container
bool contains(Interpreter& in, const Value& container, const Value& item);
/// text * count, within the budget.
Value repeat(Interpreter& in, const Text& text, int64_t count);

}  // namespace conclave::engine::text::jinja
