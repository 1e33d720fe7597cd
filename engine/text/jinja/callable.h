#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

class Interpreter;
struct Scope;

/// The arguments of one call, evaluated.
struct Args {
    std::vector<Value> positional;
    std::vector<std::pair<TextRef, Value>> keyword;
};

/// What a filter, test, method or global function is called with.
struct Call {
    Interpreter& in;
    std::string_view name;
    const Value& self;                    ///< left of the pipe, the dot or `is`
    Args& args;                           ///< for rows that take any arguments
    std::array<const Value*, 5> bound{};  ///< by the row's parameters; null where not given

    bool has(size_t i) const { return bound[i] != nullptr; }
    const Value& at(size_t i) const { return *bound[i]; }
    /// Present and not none.
    bool given(size_t i) const { return bound[i] && !bound[i]->is(Kind::None); }
    int64_t integer(size_t i, int64_t byDefault) const;
    bool flag(size_t i, bool byDefault) const;
    /// The argument, which must be a string.
    const Text& text(size_t i) const;
    /// self, which must be a string.
    const Text& selfText() const;
};

/// A filter, test, method or global function. `parameters` are the names of its arguments, blank-separated;
/// '?' marks the optional ones; "*" takes all as they are.
struct FunctionRow {
    std::string_view name;
    std::string_view parameters;
    Value (*run)(Call& call);
};

/// Binds the arguments and runs the row. Python's sentences where they do not fit.
Value invoke(const FunctionRow& row, Interpreter& in, const Value& self, Args& args);

struct FunctionObject : Object {
    const FunctionRow* row = nullptr;
};

struct MethodObject : Object {
    Value self;
    const FunctionRow* row = nullptr;
};

struct MacroObject : Object {
    const MacroNode* node = nullptr;
    TextRef name;
    Scope* closure = nullptr;  ///< where it was defined; null: the top level
    std::string describe() const;
};

/// Variables of a block, macro or turn of a loop.
struct Scope : Object {
    Scope* parent = nullptr;
    std::vector<std::pair<Symbol, Value>> variables;
    bool captured = false;  ///< a macro may outlive the block

    Value* find(Symbol symbol) {
        for (auto& [name, value] : variables)
            if (name == symbol) return &value;
        return nullptr;
    }
    void set(Symbol symbol, Value value) {
        if (Value* known = find(symbol))
            *known = std::move(value);
        else
            variables.emplace_back(symbol, std::move(value));
    }
};

}  // namespace conclave::engine::text::jinja
