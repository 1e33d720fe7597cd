#include "engine/text/jinja/operators.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "engine/text/jinja/format.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"

namespace conclave::engine::text::jinja {
namespace {

constexpr std::array<std::string_view, 7> kSigns = {"+", "-", "*", "/", "//", "%", "** or pow()"};

[[noreturn]] void unsupported(Operator op, const Value& left, const Value& right) {
    for (const Value* side : {&left, &right})
        if (side->is(Kind::Undefined)) fail(side->undefinedMessage());
    fail("unsupported operand type(s) for " + std::string(kSigns[static_cast<size_t>(op)]) + ": '" +
         std::string(typeName(left)) + "' and '" + std::string(typeName(right)) + "'");
}

[[noreturn]] void overflow() {
    fail("an integer leaves the 64 bits that templates may use");
}

int64_t floorDivide(int64_t a, int64_t b) {
    if (a == INT64_MIN && b == -1) overflow();
    const int64_t quotient = a / b;
    return quotient - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

int64_t floorModulo(int64_t a, int64_t b) {
    if (b == -1) return 0;
    const int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t integerPower(int64_t base, int64_t exponent) {
    int64_t out = 1;
    // Squaring beyond the last bit that is needed would overflow for nothing.
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(out, base, &out)) overflow();
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
    }
    return out;
}

Value integers(Operator op, int64_t a, int64_t b) {
    int64_t out = 0;
    switch (op) {
    case Operator::Add:
        if (__builtin_add_overflow(a, b, &out)) overflow();
        return Value(out);
    case Operator::Subtract:
        if (__builtin_sub_overflow(a, b, &out)) overflow();
        return Value(out);
    case Operator::Multiply:
        if (__builtin_mul_overflow(a, b, &out)) overflow();
        return Value(out);
    case Operator::Divide:
        if (b == 0) fail("division by zero");
        return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::FloorDivide:
        if (b == 0) fail("integer division or modulo by zero");
        return Value(floorDivide(a, b));
    case Operator::Modulo:
        if (b == 0) fail("integer modulo by zero");
        return Value(floorModulo(a, b));
    case Operator::Power:
        break;
    }
    if (b >= 0) return Value(integerPower(a, b));
    if (a == 0) fail("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
}

double floatModulo(double a, double b) {
    double rest = std::fmod(a, b);
    if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
    return rest == 0 ? std::copysign(0.0, b) : rest;
}

Value floats(Operator op, double a, double b) {
    switch (op) {
    case Operator::Add:
        return Value(a + b);
    case Operator::Subtract:
        return Value(a - b);
    case Operator::Multiply:
        return Value(a * b);
    case Operator::Divide:
        if (b == 0) fail("float division by zero");
        return Value(a / b);
    case Operator::FloorDivide:
        if (b == 0) fail("float floor division by zero");
        return Value(std::floor(a / b));
    case Operator::Modulo:
        if (b == 0) fail("float modulo");
        return Value(floatModulo(a, b));
    case Operator::Power:
        break;
    }
    if (a == 0 && b < 0) fail("0.0 cannot be raised to a negative power");
    if (a < 0 && b != std::floor(b)) fail("complex numbers are not available");
    return Value(std::pow(a, b));
}

bool isSequence(const Value& value) {
    return value.is(Kind::List) || value.is(Kind::Tuple);
}

Value sequence(Interpreter& in, Kind kind, std::vector<Value> items) {
    return kind == Kind::List ? in.heap().list(std::move(items)) : in.heap().tuple(std::move(items));
}

Value concatenated(Interpreter& in, const Value& left, const Value& right) {
    const auto &a = left.as<ListObject>().items, &b = right.as<ListObject>().items;
    in.meter().items(a.size() + b.size());
    std::vector<Value> out = a;
    out.insert(out.end(), b.begin(), b.end());
    return sequence(in, left.kind(), std::move(out));
}

Value repeated(Interpreter& in, const Value& list, int64_t count) {
    const auto& items = list.as<ListObject>().items;
    const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
    if (!items.empty() && times > in.meter().budget().items / items.size())
        in.meter().items(in.meter().budget().items + 1);
    std::vector<Value> out;
    in.meter().items(items.size() * times);
    out.reserve(items.size() * times);
    for (size_t i = 0; i < times && !items.empty(); ++i)
        out.insert(out.end(), items.begin(), items.end());
    return sequence(in, list.kind(), std::move(out));
}

Value multiplied(Interpreter& in, const Value& left, const Value& right) {
    const bool leftRepeats = left.is(Kind::String) || isSequence(left);
    const bool rightRepeats = right.is(Kind::String) || isSequence(right);
    if (leftRepeats || rightRepeats) {
        const Value& what = leftRepeats ? left : right;
        const Value& count = leftRepeats ? right : left;
        if (count.is(Kind::Undefined)) fail(count.undefinedMessage());
        if (!isInteger(count))
            fail("can't multiply sequence by non-int of type '" + std::string(typeName(count)) + "'");
        return what.is(Kind::String) ? repeat(in, what.text(), toInteger(count))
                                     : repeated(in, what, toInteger(count));
    }
    unsupported(Operator::Multiply, left, right);
}

Value added(Interpreter& in, const Value& left, const Value& right) {
    if (left.is(Kind::String) && right.is(Kind::String)) {
        Text out = left.text();
        out.append(right.text());
        return in.string(std::move(out));
    }
    if (isSequence(left) && left.kind() == right.kind()) return concatenated(in, left, right);
    if ((left.is(Kind::String) || isSequence(left)) && !right.is(Kind::Undefined)) {
        const std::string type(typeName(left));
        fail("can only concatenate " + type + " (not \"" + std::string(typeName(right)) + "\") to " + type);
    }
    unsupported(Operator::Add, left, right);
}

}  // namespace

Value arithmetic(Interpreter& in, Operator op, const Value& left, const Value& right) {
    if (isInteger(left) && isInteger(right)) return integers(op, toInteger(left), toInteger(right));
    if (isNumber(left) && isNumber(right)) return floats(op, toDouble(left), toDouble(right));
    switch (op) {
    case Operator::Add:
        return added(in, left, right);
    case Operator::Multiply:
        return multiplied(in, left, right);
    case Operator::Modulo:
        if (left.is(Kind::String)) return in.string(formatPercent(in, left.text(), right));
        break;
    default:
        break;
    }
    unsupported(op, left, right);
}

Value withSign(char sign, const Value& value) {
    if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
    if (isInteger(value))
        return integers(sign == '-' ? Operator::Subtract : Operator::Add, 0, toInteger(value));
    if (value.is(Kind::Float)) return Value(sign == '-' ? -value.number() : value.number());
    fail(std::string("bad operand type for unary ") + sign + ": '" + std::string(typeName(value)) + "'");
}

Value repeat(Interpreter& in, const Text& text, int64_t count) {
    const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
    const size_t most = in.meter().budget().outputBytes;
    if (!text.empty() && times > most / text.size()) in.meter().text(most + 1);
    in.meter().text(text.size() * times);
    Text out;
    out.reserve(text.size() * times);
    for (size_t i = 0; i < times && !text.empty(); ++i)
        out.append(text);
    return in.string(std::move(out));
}

bool contains(Interpreter& in, const Value& container, const Value& item) {
    if (item.is(Kind::String)) in.meter().step(item.text().size() / 1024);
    switch (container.kind()) {
    case Kind::String:
        if (!item.is(Kind::String))
            fail("'in <string>' requires string as left operand, not " + std::string(typeName(item)));
        in.meter().step(container.text().size() / 256);
        return findFirst(container.text().view(), item.text().view()) != std::string_view::npos;
    case Kind::Dict:
        return container.as<DictObject>().find(item) != nullptr;
    case Kind::Range: {
        if (!isNumber(item)) return false;
        const auto& range = container.as<RangeObject>();
        const double number = toDouble(item);
        if (number != std::floor(number) || std::abs(number) > 9e18) return false;
        const auto value = item.is(Kind::Float) ? static_cast<int64_t>(number) : toInteger(item);
        const bool inside = range.step > 0 ? value >= range.start && value < range.stop
                                           : value <= range.start && value > range.stop;
        return inside && floorModulo(value - range.start, range.step) == 0;
    }
    case Kind::None:
    case Kind::Bool:
    case Kind::Int:
    case Kind::Float:
    case Kind::Namespace:
    case Kind::Macro:
    case Kind::Function:
    case Kind::Method:
        fail("argument of type '" + std::string(typeName(container)) + "' is not iterable");
    case Kind::List:
    case Kind::Tuple: {
        const auto& items = container.as<ListObject>().items;
        in.meter().step(items.size() / 8);
        return std::any_of(items.begin(), items.end(),
                           [&](const Value& it) { return equals(it, item, in.meter()); });
    }
    case Kind::Generator: {
        // Used up as far as it was looked at.
        auto& generator = container.as<GeneratorObject>();
        while (generator.next < generator.items.size())
            if (equals(generator.items[generator.next++], item, in.meter())) return true;
        return false;
    }
    default:
        break;
    }
    const std::vector<Value> items = in.items(container);
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& it) { return equals(it, item, in.meter()); });
}

}  // namespace conclave::engine::text::jinja
