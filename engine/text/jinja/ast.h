#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

struct Expression;
struct Statement;
struct FunctionRow;

/// Nodes point to each other and belong to a Program, which frees them one by one: no chain of them is deep
/// on the stack.
using Body = std::vector<const Statement*>;
/// A variable's name, as an index into Program::symbols.
using Symbol = uint32_t;

struct Literal {
    Value value;
};
struct Name {
    Symbol symbol = 0;
};
struct Sequence {
    std::vector<const Expression*> items;
    bool tuple = false;
};
struct Mapping {
    std::vector<std::pair<const Expression*, const Expression*>> entries;
};
struct Arguments {
    std::vector<const Expression*> positional;
    std::vector<std::pair<TextRef, const Expression*>> keyword;
    const Expression* star = nullptr;
    const Expression* starStar = nullptr;
};
enum class StepKind : uint8_t { Attribute, Item, Slice, Call, Filter, Test };
/// One link of a chain such as `.content | trim is defined`.
struct Step {
    StepKind kind = StepKind::Attribute;
    uint32_t line = 0;
    TextRef name{};  ///< of the attribute, filter or test
    const Expression *first = nullptr, *second = nullptr,
                     *third = nullptr;  ///< Item: the key; Slice: its bounds, or null
    Arguments arguments{};
    const FunctionRow* row = nullptr;  ///< of the filter or test; null: unknown, an error when it is reached
    bool negated = false;              ///< is not
};
struct Chain {
    const Expression* base = nullptr;
    std::vector<Step> steps;
};
struct Signed {
    std::string signs;  ///< of + and -, the last is nearest to the operand
    const Expression* operand = nullptr;
};
struct Not {
    const Expression* operand = nullptr;
    bool twice = false;
};
enum class Operator : uint8_t { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power };
/// Left to right.
struct Arithmetic {
    const Expression* first = nullptr;
    std::vector<std::pair<Operator, const Expression*>> rest;
};
struct Concatenation {
    std::vector<const Expression*> parts;
};
enum class Comparison : uint8_t { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In, NotIn };
/// a < b < c, as Python chains it.
struct Compare {
    const Expression* first = nullptr;
    std::vector<std::pair<Comparison, const Expression*>> rest;
};
/// The value of the operand that decides, as in Python.
struct Logic {
    bool both = false;
    std::vector<const Expression*> operands;
};
struct Conditional {
    const Expression* then = nullptr;
    const Expression* test = nullptr;
    const Expression* otherwise = nullptr;  ///< null: undefined
};

struct Expression {
    uint32_t line = 0;
    std::variant<Literal, Name, Sequence, Mapping, Chain, Signed, Not, Arithmetic, Concatenation, Compare,
                 Logic, Conditional>
        node;
};

enum class TargetKind : uint8_t { Variable, Attribute, Tuple };
struct Target {
    TargetKind kind = TargetKind::Variable;
    uint32_t line = 0;
    Symbol symbol = 0;
    TextRef attribute{};
    std::vector<Target> items{};
};

struct Output {
    struct Part {
        TextRef text;
        const Expression* value = nullptr;  ///< when there is no text
    };
    std::vector<Part> parts;
};
struct If {
    struct Branch {
        const Expression* test = nullptr;  ///< null: else
        Body body;
    };
    std::vector<Branch> branches;
};
struct For {
    Target target;
    const Expression* iterable = nullptr;
    const Expression* test = nullptr;
    bool recursive = false;
    Body body, otherwise;
};
struct Assign {
    Target target;
    const Expression* value = nullptr;
};
struct AssignBlock {
    Target target;
    std::vector<Step> filters;
    Body body;
};
struct MacroNode {
    struct Parameter {
        Symbol symbol = 0;
        const Expression* byDefault = nullptr;
    };
    Symbol name = 0;
    bool anonymous = false;  ///< the body of a call block
    std::vector<Parameter> parameters;
    Body body;
    bool usesCaller = false, usesKwargs = false, usesVarargs = false;
};
struct CallBlock {
    MacroNode caller;
    const Expression* call = nullptr;
};
struct FilterBlock {
    std::vector<Step> filters;
    Body body;
};
struct With {
    std::vector<std::pair<Target, const Expression*>> variables;
    Body body;
};
/// `generation`, `block`, `autoescape false`: a scope and nothing more.
struct Scoped {
    Body body;
};
struct Jump {
    bool breaks = false;
};

struct Statement {
    uint32_t line = 0;
    std::variant<Output, If, For, Assign, AssignBlock, MacroNode, CallBlock, FilterBlock, With, Scoped, Jump>
        node;
};

/// A parsed template. Immutable once parsed; threads may share it.
struct Program {
    /// First, because it must be destroyed last: every TextRef below looks at its text when it goes.
    std::deque<SharedText> texts;
    Body body;
    std::deque<Expression> expressions;
    std::deque<Statement> statements;
    std::vector<TextRef> symbols;
    std::unordered_map<std::string, Symbol> symbolOf;

    TextRef text(std::string bytes) {
        return TextRef(&texts.emplace_back(SharedText{Text(std::move(bytes), true), nullptr, 0}));
    }
    Symbol symbol(std::string_view name) {
        const auto [at, isNew] = symbolOf.try_emplace(std::string(name), static_cast<Symbol>(symbols.size()));
        if (isNew) symbols.push_back(text(std::string(name)));
        return at->second;
    }
};

}  // namespace conclave::engine::text::jinja
