#include "engine/text/jinja/tests.h"

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

template <Kind kKind> Value isKind(Call& call) {
    return Value(call.self.is(kKind));
}

Value isDefined(Call& call) {
    return Value(!call.self.is(Kind::Undefined));
}
Value isTrue(Call& call) {
    return Value(call.self.is(Kind::Bool) && call.self.boolean());
}
Value isFalse(Call& call) {
    return Value(call.self.is(Kind::Bool) && !call.self.boolean());
}
Value isANumber(Call& call) {
    return Value(isNumber(call.self));
}

Value isSequence(Call& call) {
    switch (call.self.kind()) {
    case Kind::Undefined:  // it has a length and can be asked for items, as far as Python can see
    case Kind::String:
    case Kind::List:
    case Kind::Tuple:
    case Kind::Dict:
    case Kind::Range:
        return Value(true);
    default:
        return Value(false);
    }
}

Value isIterable(Call& call) {
    switch (call.self.kind()) {
    case Kind::Undefined:
    case Kind::String:
    case Kind::List:
    case Kind::Tuple:
    case Kind::Dict:
    case Kind::Range:
    case Kind::Generator:
    case Kind::View:
    case Kind::Loop:
        return Value(true);
    default:
        return Value(false);
    }
}

Value isCallable(Call& call) {
    switch (call.self.kind()) {
    case Kind::Undefined:
    case Kind::Macro:
    case Kind::Function:
    case Kind::Method:
    case Kind::Loop:
    case Kind::Joiner:
        return Value(true);
    default:
        return Value(false);
    }
}

int64_t remainder(Call& call, const Value& divisor) {
    const Value rest = arithmetic(call.in, Operator::Modulo, call.self, divisor);
    return isNumber(rest) && toDouble(rest) == 0 ? 0 : isInteger(rest) ? toInteger(rest) : 2;
}
Value isOdd(Call& call) {
    return Value(remainder(call, Value(int64_t{2})) == 1);
}
Value isEven(Call& call) {
    return Value(remainder(call, Value(int64_t{2})) == 0);
}
Value isDivisible(Call& call) {
    return Value(remainder(call, call.at(0)) == 0);
}

Value isLowerCase(Call& call) {
    return Value(hasOneCase(call.in.text(call.self).view(), isUpper));
}
Value isUpperCase(Call& call) {
    return Value(hasOneCase(call.in.text(call.self).view(), isLower));
}

Value isSameAs(Call& call) {
    const Value &a = call.self, &b = call.at(0);
    if (a.kind() != b.kind()) return Value(false);
    switch (a.kind()) {
    case Kind::None:
    case Kind::Bool:
    case Kind::Int:
    case Kind::Float:
    case Kind::String:
        return Value(equals(a, b, call.in.meter()));
    case Kind::Undefined:
        return Value(false);
    default:
        return Value(a.identity() == b.identity());
    }
}

Value isIn(Call& call) {
    return Value(contains(call.in, call.at(0), call.self));
}
Value isFilter(Call& call) {
    return Value(call.self.is(Kind::String) && findFilter(call.self.text().view()));
}
Value isTest(Call& call) {
    return Value(call.self.is(Kind::String) && findTest(call.self.text().view()));
}
Value isEscaped(Call&) {
    return Value(false);
}

Value isEqual(Call& call) {
    return Value(equals(call.self, call.at(0), call.in.meter()));
}
Value isNotEqual(Call& call) {
    return Value(!equals(call.self, call.at(0), call.in.meter()));
}
Value isLess(Call& call) {
    return Value(compare(call.self, call.at(0), "<", call.in.meter()) == -1);
}
Value isGreater(Call& call) {
    return Value(compare(call.self, call.at(0), ">", call.in.meter()) == 1);
}
Value isAtMost(Call& call) {
    const int outcome = compare(call.self, call.at(0), "<=", call.in.meter());
    return Value(outcome == -1 || outcome == 0);
}
Value isAtLeast(Call& call) {
    const int outcome = compare(call.self, call.at(0), ">=", call.in.meter());
    return Value(outcome == 1 || outcome == 0);
}

constexpr FunctionRow kTests[] = {
    {"defined", "", isDefined},
    {"undefined", "", isKind<Kind::Undefined>},
    {"none", "", isKind<Kind::None>},
    {"string", "", isKind<Kind::String>},
    {"mapping", "", isKind<Kind::Dict>},
    {"boolean", "", isKind<Kind::Bool>},
    {"integer", "", isKind<Kind::Int>},
    {"float", "", isKind<Kind::Float>},
    {"number", "", isANumber},
    {"true", "", isTrue},
    {"false", "", isFalse},
    {"sequence", "", isSequence},
    {"iterable", "", isIterable},
    {"callable", "", isCallable},
    {"odd", "", isOdd},
    {"even", "", isEven},
    {"divisibleby", "num", isDivisible},
    {"lower", "", isLowerCase},
    {"upper", "", isUpperCase},
    {"sameas", "other", isSameAs},
    {"in", "seq", isIn},
    {"filter", "", isFilter},
    {"test", "", isTest},
    {"escaped", "", isEscaped},
    {"==", "other", isEqual},
    {"eq", "other", isEqual},
    {"equalto", "other", isEqual},
    {"!=", "other", isNotEqual},
    {"ne", "other", isNotEqual},
    {"<", "other", isLess},
    {"lt", "other", isLess},
    {"lessthan", "other", isLess},
    {"<=", "other", isAtMost},
    {"le", "other", isAtMost},
    {">", "other", isGreater},
    {"gt", "other", isGreater},
    {"greaterthan", "other", isGreater},
    {">=", "other", isAtLeast},
    {"ge", "other", isAtLeast},
};

}  // namespace

const FunctionRow* findTest(std::string_view name) {
    for (const FunctionRow& row : kTests)
        if (row.name == name) return &row;
    return nullptr;
}

}  // namespace conclave::engine::text::jinja
