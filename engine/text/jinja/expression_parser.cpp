#include "engine/text/jinja/expression_parser.h"

#include <array>
#include <utility>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/tests.h"

namespace conclave::engine::text::jinja {
namespace {

// Precedence levels, loosest first. `not` stands between And and Comparison.
enum Level : int { kOr = 1, kAnd, kNot, kComparison, kSum, kJoin, kProduct, kPower, kNone = 0 };

struct OperatorRow {
    std::string_view token;
    int level;
    Operator op = Operator::Add;
    Comparison comparison = Comparison::Equal;
};

constexpr OperatorRow kOperators[] = {
    {"==", kComparison, {}, Comparison::Equal},
    {"!=", kComparison, {}, Comparison::NotEqual},
    {"<", kComparison, {}, Comparison::Less},
    {"<=", kComparison, {}, Comparison::LessEqual},
    {">", kComparison, {}, Comparison::Greater},
    {">=", kComparison, {}, Comparison::GreaterEqual},
    {"+", kSum, Operator::Add},
    {"-", kSum, Operator::Subtract},
    {"~", kJoin},
    {"*", kProduct, Operator::Multiply},
    {"/", kProduct, Operator::Divide},
    {"//", kProduct, Operator::FloorDivide},
    {"%", kProduct, Operator::Modulo},
    {"**", kPower, Operator::Power},
};

constexpr OperatorRow kIn{"in", kComparison, {}, Comparison::In};
constexpr OperatorRow kNotIn{"not in", kComparison, {}, Comparison::NotIn};
constexpr OperatorRow kOrRow{"or", kOr};
constexpr OperatorRow kAndRow{"and", kAnd};

/// The binary operator at the current token, or null.
const OperatorRow* operatorAt(const ParseState& state) {
    const Token& token = state.current();
    if (token.kind == TokenKind::Operator) {
        for (const OperatorRow& row : kOperators)
            if (row.token == token.value) return &row;
    } else if (token.kind == TokenKind::Name) {
        if (token.value == "or") return &kOrRow;
        if (token.value == "and") return &kAndRow;
        if (token.value == "in") return &kIn;
        if (token.value == "not" && state.look().kind == TokenKind::Name && state.look().value == "in")
            return &kNotIn;
    }
    return nullptr;
}

bool endsTuple(const ParseState& state, std::string_view endName) {
    const TokenKind kind = state.current().kind;
    return kind == TokenKind::VariableEnd || kind == TokenKind::BlockEnd || state.isOperator(")") ||
           (!endName.empty() && state.isName(endName));
}

}  // namespace

const Expression* ExpressionParser::expression(bool withConditional) {
    const ParseState::Nesting nesting(state_);
    const size_t unknowns = state_.unknownCount();
    const uint32_t line = state_.line();
    const Expression* then = binary(kOr);
    while (withConditional && state_.skipName("if")) {
        Conditional node;
        node.then = then;
        node.test = binary(kOr);
        if (state_.skipName("else")) node.otherwise = expression();
        then = make(line, node);
        state_.allowUnknownSince(unknowns);
    }
    return then;
}

const Expression* ExpressionParser::binary(int least) {
    const uint32_t line = state_.line();
    const Expression* left = nullptr;
    if (least <= kNot && state_.isName("not")) {
        size_t count = 0;
        while (state_.skipName("not"))
            ++count;
        Not node;
        node.operand = binary(kComparison);
        node.twice = count % 2 == 0;
        left = make(line, node);
    } else {
        left = unary();
    }
    for (const OperatorRow* row = operatorAt(state_); row && row->level >= least; row = operatorAt(state_))
        left = operators(left, row->level);
    return left;
}

/// The operators of one level in a row, from the current token.
const Expression* ExpressionParser::operators(const Expression* left, int level) {
    const uint32_t line = state_.line();
    Arithmetic arithmetic{left, {}};
    Compare comparison{left, {}};
    std::vector<const Expression*> operands{left};
    for (const OperatorRow* row = operatorAt(state_); row && row->level == level; row = operatorAt(state_)) {
        state_.next();
        if (row == &kNotIn) state_.next();
        const Expression* right = binary(level + 1);
        operands.push_back(right);
        arithmetic.rest.emplace_back(row->op, right);
        comparison.rest.emplace_back(row->comparison, right);
    }
    switch (level) {
    case kOr:
    case kAnd:
        return make(line, Logic{level == kAnd, std::move(operands)});
    case kComparison:
        return make(line, std::move(comparison));
    case kJoin:
        return make(line, Concatenation{std::move(operands)});
    default:
        return make(line, std::move(arithmetic));
    }
}

const Expression* ExpressionParser::unary() {
    const uint32_t line = state_.line();
    std::string signs;
    while (state_.isOperator("-") || state_.isOperator("+"))
        signs.push_back(state_.next().value[0]);
    const Expression* operand = primary();
    std::vector<Step> steps;
    postfix(steps);
    if (!signs.empty()) {
        operand = make(line, Signed{std::move(signs), chain(operand, std::move(steps))});
        steps.clear();
    }
    filtersAndTests(steps);
    return chain(operand, std::move(steps));
}

const Expression* ExpressionParser::chain(const Expression* base, std::vector<Step> steps) {
    return steps.empty() ? base : make(base->line, Chain{base, std::move(steps)});
}

const Expression* ExpressionParser::primary() {
    const uint32_t line = state_.line();
    switch (state_.current().kind) {
    case TokenKind::Name:
        return name();
    case TokenKind::String: {
        std::string text = state_.next().value;
        while (state_.current().kind == TokenKind::String)
            text += state_.next().value;
        return make(line, Literal{Value(state_.program.text(std::move(text)))});
    }
    case TokenKind::Integer:
        return make(line, Literal{Value(state_.next().integer)});
    case TokenKind::Float:
        return make(line, Literal{Value(state_.next().number)});
    default:
        break;
    }
    if (state_.skipOperator("(")) {
        const Expression* inner = tuple(true, {}, true);
        state_.expectOperator(")");
        return inner;
    }
    if (state_.isOperator("[")) return list();
    if (state_.isOperator("{")) return dict();
    failSyntax("unexpected " + inQuotes(describe(state_.current())), line);
}

const Expression* ExpressionParser::name() {
    const Token token = state_.next();
    if (token.value == "true" || token.value == "True") return make(token.line, Literal{Value(true)});
    if (token.value == "false" || token.value == "False") return make(token.line, Literal{Value(false)});
    if (token.value == "none" || token.value == "None") return make(token.line, Literal{Value()});
    for (MacroNode* macro : state_.macros) {
        macro->usesCaller = macro->usesCaller || token.value == "caller";
        macro->usesKwargs = macro->usesKwargs || token.value == "kwargs";
        macro->usesVarargs = macro->usesVarargs || token.value == "varargs";
    }
    return make(token.line, Name{state_.program.symbol(token.value)});
}

const Expression* ExpressionParser::tuple(bool withConditional, std::string_view endName,
                                          bool inParentheses) {
    const uint32_t line = state_.line();
    std::vector<const Expression*> items;
    bool isTuple = false;
    while (true) {
        if (!items.empty()) state_.expectOperator(",");
        if (endsTuple(state_, endName)) break;
        items.push_back(expression(withConditional));
        if (!state_.isOperator(",")) break;
        isTuple = true;
    }
    if (!isTuple && !items.empty()) return items.front();
    if (!isTuple && !inParentheses)
        failSyntax("Expected an expression, got " + inQuotes(describe(state_.current())), state_.line());
    return make(line, Sequence{std::move(items), true});
}

const Expression* ExpressionParser::list() {
    const uint32_t line = state_.line();
    state_.expectOperator("[");
    std::vector<const Expression*> items;
    while (!state_.isOperator("]")) {
        if (!items.empty()) state_.expectOperator(",");
        if (state_.isOperator("]")) break;
        items.push_back(expression());
    }
    state_.expectOperator("]");
    return make(line, Sequence{std::move(items), false});
}

const Expression* ExpressionParser::dict() {
    const uint32_t line = state_.line();
    state_.expectOperator("{");
    Mapping node;
    while (!state_.isOperator("}")) {
        if (!node.entries.empty()) state_.expectOperator(",");
        if (state_.isOperator("}")) break;
        const Expression* key = expression();
        state_.expectOperator(":");
        node.entries.emplace_back(key, expression());
    }
    state_.expectOperator("}");
    return make(line, std::move(node));
}

void ExpressionParser::postfix(std::vector<Step>& steps) {
    while (true) {
        if (state_.isOperator(".") || state_.isOperator("[")) {
            steps.push_back(subscript());
        } else if (state_.isOperator("(")) {
            Step call{.kind = StepKind::Call, .line = state_.line()};
            call.arguments = arguments();
            steps.push_back(std::move(call));
        } else {
            return;
        }
    }
}

void ExpressionParser::filtersAndTests(std::vector<Step>& steps) {
    while (true) {
        if (state_.skipOperator("|")) {
            steps.push_back(filter());
        } else if (state_.isName("is")) {
            steps.push_back(test());
        } else if (state_.isOperator("(")) {
            Step call{.kind = StepKind::Call, .line = state_.line()};
            call.arguments = arguments();
            steps.push_back(std::move(call));
        } else {
            return;
        }
    }
}

Step ExpressionParser::subscript() {
    Step step{.kind = StepKind::Item, .line = state_.line()};
    if (state_.skipOperator(".")) {
        const Token token = state_.next();
        if (token.kind == TokenKind::Name) {
            step.kind = StepKind::Attribute;
            step.name = state_.program.text(token.value);
        } else if (token.kind == TokenKind::Integer) {
            step.first = make(token.line, Literal{Value(token.integer)});
        } else {
            failSyntax("expected name or number", token.line);
        }
        return step;
    }
    state_.expectOperator("[");
    std::vector<const Expression*> keys;
    while (!state_.isOperator("]")) {
        if (!keys.empty()) state_.expectOperator(",");
        const Expression* key = state_.isOperator(":") ? nullptr : expression();
        if (!state_.isOperator(":")) {
            keys.push_back(key);
            continue;
        }
        if (!keys.empty()) failSyntax("a slice cannot be one of several subscripts", step.line);
        const auto bound = [this]() {
            return state_.isOperator(":") || state_.isOperator("]") ? nullptr : expression();
        };
        step.kind = StepKind::Slice;
        step.first = key;
        state_.expectOperator(":");
        step.second = bound();
        if (state_.skipOperator(":")) step.third = bound();
        state_.expectOperator("]");
        return step;
    }
    state_.expectOperator("]");
    step.first = keys.size() == 1 ? keys.front() : make(step.line, Sequence{std::move(keys), true});
    return step;
}

Arguments ExpressionParser::arguments() {
    const uint32_t line = state_.line();
    state_.expectOperator("(");
    Arguments out;
    bool first = true;
    while (!state_.isOperator(")")) {
        if (!std::exchange(first, false)) {
            state_.expectOperator(",");
            if (state_.isOperator(")")) break;
        }
        argument(out, line);
    }
    state_.expectOperator(")");
    return out;
}

void ExpressionParser::argument(Arguments& out, uint32_t line) {
    const auto ensure = [line](bool holds) {
        if (!holds) failSyntax("invalid syntax for function call expression", line);
    };
    if (state_.skipOperator("*")) {
        ensure(!out.star && !out.starStar);
        out.star = expression();
    } else if (state_.skipOperator("**")) {
        ensure(!out.starStar);
        out.starStar = expression();
    } else if (state_.current().kind == TokenKind::Name && state_.look().kind == TokenKind::Operator &&
               state_.look().value == "=") {
        ensure(!out.starStar);
        TextRef key = state_.program.text(state_.next().value);
        state_.next();
        out.keyword.emplace_back(std::move(key), expression());
    } else {
        ensure(!out.star && !out.starStar && out.keyword.empty());
        out.positional.push_back(expression());
    }
}

std::string ExpressionParser::dottedName() {
    std::string out = state_.expect(TokenKind::Name, "name").value;
    while (state_.skipOperator("."))
        out += "." + state_.expect(TokenKind::Name, "name").value;
    return out;
}

Step ExpressionParser::filter() {
    Step step{.kind = StepKind::Filter, .line = state_.line()};
    const std::string called = dottedName();
    step.name = state_.program.text(called);
    step.row = findFilter(called);
    if (!step.row) state_.unknown("No filter named " + inQuotes(called) + ".", step.line);
    if (state_.isOperator("(")) step.arguments = arguments();
    return step;
}

std::vector<Step> ExpressionParser::filters(bool startsInline) {
    std::vector<Step> out;
    if (startsInline) out.push_back(filter());
    while (state_.skipOperator("|"))
        out.push_back(filter());
    return out;
}

Step ExpressionParser::test() {
    Step step{.kind = StepKind::Test, .line = state_.line()};
    state_.expectName("is");
    step.negated = state_.skipName("not");
    const std::string called = dottedName();
    step.name = state_.program.text(called);
    step.row = findTest(called);
    if (!step.row) state_.unknown("No test named " + inQuotes(called) + ".", step.line);
    if (state_.isOperator("("))
        step.arguments = arguments();
    else if (const Expression* argument = testArgument())
        step.arguments.positional.push_back(argument);
    return step;
}

/// `is divisibleby 3`: the argument may stand without brackets. Null: there is none.
const Expression* ExpressionParser::testArgument() {
    const TokenKind kind = state_.current().kind;
    const bool isName =
        kind == TokenKind::Name && !state_.isName("else") && !state_.isName("or") && !state_.isName("and");
    const bool isLiteral =
        kind == TokenKind::String || kind == TokenKind::Integer || kind == TokenKind::Float;
    if (!isName && !isLiteral && !state_.isOperator("[") && !state_.isOperator("{")) return nullptr;
    if (state_.isName("is")) failSyntax("You cannot chain multiple tests with is", state_.line());
    const ParseState::Nesting nesting(state_);
    const Expression* base = primary();
    std::vector<Step> steps;
    postfix(steps);
    return chain(base, std::move(steps));
}

Target ExpressionParser::target(bool withAttribute, std::string_view endName) {
    const ParseState::Nesting nesting(state_);
    Target out{.kind = TargetKind::Tuple, .line = state_.line()};
    bool isTuple = false;
    while (true) {
        if (!out.items.empty()) state_.expectOperator(",");
        if (state_.isOperator("=") || endsTuple(state_, endName)) break;
        out.items.push_back(singleTarget(withAttribute));
        if (!state_.isOperator(",")) break;
        isTuple = true;
    }
    if (out.items.empty())
        failSyntax("Expected an expression, got " + inQuotes(describe(state_.current())), out.line);
    if (isTuple) return out;
    Target only = std::move(out.items.front());
    return only;
}

Target ExpressionParser::singleTarget(bool withAttribute) {
    const uint32_t line = state_.line();
    if (state_.skipOperator("(")) {
        Target inner = target(withAttribute);
        state_.expectOperator(")");
        return inner;
    }
    if (state_.current().kind != TokenKind::Name) {
        const bool literal = state_.current().kind != TokenKind::Operator;
        failSyntax(literal ? "can't assign to 'const'"
                           : "can't assign to " + inQuotes(describe(state_.current())),
                   line);
    }
    const std::string variable = state_.next().value;
    for (const std::string_view reserved : {"true", "True", "false", "False", "none", "None"})
        if (variable == reserved) failSyntax("can't assign to 'const'", line);
    Target out{.kind = TargetKind::Variable, .line = line, .symbol = state_.program.symbol(variable)};
    if (withAttribute && state_.skipOperator(".")) {
        out.kind = TargetKind::Attribute;
        out.attribute = state_.program.text(state_.expect(TokenKind::Name, "name").value);
    }
    return out;
}

}  // namespace conclave::engine::text::jinja
