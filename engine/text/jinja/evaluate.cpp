#include <optional>
#include <utility>

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/tests.h"

namespace conclave::engine::text::jinja {

Value Interpreter::evaluate(const Expression& expression) {
    meter_.step();
    const Meter::Nesting nesting(meter_);
    line_ = expression.line;
    return std::visit([this](const auto& node) { return evaluate(node); }, expression.node);
}

Value Interpreter::evaluate(const Sequence& node) {
    std::vector<Value> values;
    values.reserve(node.items.size());
    for (const Expression* item : node.items)
        values.push_back(evaluate(*item));
    return node.tuple ? heap_.tuple(std::move(values)) : heap_.list(std::move(values));
}

Value Interpreter::evaluate(const Mapping& node) {
    heap_.grow(node.entries.size() * 2);
    auto* dict = heap_.make<DictObject>();
    for (const auto& [key, value] : node.entries) {
        const Value name = evaluate(*key);
        dict->set(name, evaluate(*value));
    }
    return Value(Kind::Dict, dict);
}

Value Interpreter::evaluate(const Signed& node) {
    Value value = evaluate(*node.operand);
    for (size_t i = node.signs.size(); i-- > 0;)
        value = withSign(node.signs[i], value);
    return value;
}

Value Interpreter::evaluate(const Not& node) {
    return Value(truth(evaluate(*node.operand)) == node.twice);
}

Value Interpreter::evaluate(const Arithmetic& node) {
    Value left = evaluate(*node.first);
    // A sum of strings grows in one place instead of being copied at every plus.
    std::optional<Text> building;
    for (const auto& [op, expression] : node.rest) {
        const Value right = evaluate(*expression);
        if (op == Operator::Add && right.is(Kind::String) && (building || left.is(Kind::String))) {
            if (!building) building = left.text();
            building->append(right.text());
            meter_.grown(building->size(), right.text().size());
            continue;
        }
        if (building) left = string(*std::exchange(building, std::nullopt));
        left = arithmetic(*this, op, left, right);
    }
    return building ? string(*std::move(building)) : left;
}

Value Interpreter::evaluate(const Concatenation& node) {
    Text out;
    for (const Expression* part : node.parts) {
        const size_t before = out.size();
        appendText(out, evaluate(*part), meter_);
        meter_.grown(out.size(), out.size() - before);
    }
    return string(std::move(out));
}

bool Interpreter::holds(Comparison comparison, const Value& left, const Value& right) {
    const auto order = [&](std::string_view sign) { return compare(left, right, sign, meter_); };
    switch (comparison) {
    case Comparison::Equal:
        return equals(left, right, meter_);
    case Comparison::NotEqual:
        return !equals(left, right, meter_);
    case Comparison::Less:
        return order("<") == -1;
    case Comparison::Greater:
        return order(">") == 1;
    case Comparison::LessEqual: {
        const int outcome = order("<=");
        return outcome == -1 || outcome == 0;
    }
    case Comparison::GreaterEqual: {
        const int outcome = order(">=");
        return outcome == 1 || outcome == 0;
    }
    case Comparison::In:
        return contains(*this, right, left);
    case Comparison::NotIn:
        return !contains(*this, right, left);
    }
    return false;
}

Value Interpreter::evaluate(const Compare& node) {
    Value left = evaluate(*node.first);
    for (const auto& [comparison, expression] : node.rest) {
        Value right = evaluate(*expression);
        if (!holds(comparison, left, right)) return Value(false);
        left = std::move(right);
    }
    return Value(true);
}

Value Interpreter::evaluate(const Logic& node) {
    Value value;
    for (const Expression* operand : node.operands) {
        value = evaluate(*operand);
        if (truth(value) != node.both) return value;
    }
    return value;
}

Value Interpreter::evaluate(const Conditional& node) {
    if (truth(evaluate(*node.test))) return evaluate(*node.then);
    if (node.otherwise) return evaluate(*node.otherwise);
    return heap_.undefined("the inline if-expression on line " + std::to_string(line_) +
                           " evaluated to false and no else section was defined.");
}

// --- chains ---

Args Interpreter::arguments(const Arguments& node) {
    Args out;
    out.positional.reserve(node.positional.size());
    for (const Expression* argument : node.positional)
        out.positional.push_back(evaluate(*argument));
    for (const auto& [name, argument] : node.keyword)
        out.keyword.emplace_back(name, evaluate(*argument));
    if (node.star)
        for (Value& value : items(evaluate(*node.star)))
            out.positional.push_back(std::move(value));
    if (node.starStar) {
        const Value dict = evaluate(*node.starStar);
        if (!dict.is(Kind::Dict))
            fail("argument after ** must be a mapping, not " + std::string(typeName(dict)));
        for (const auto& [name, value] : dict.as<DictObject>().entries()) {
            if (!name.is(Kind::String)) fail("keywords must be strings");
            out.keyword.emplace_back(name.textRef(), value);
        }
    }
    return out;
}

Value Interpreter::applySteps(Value value, const std::vector<Step>& steps, const Value* caller) {
    for (size_t i = 0; i < steps.size(); ++i) {
        const Step& step = steps[i];
        meter_.step();
        // A method that is called at once needs no object to bind it to its self.
        const bool calls =
            step.kind == StepKind::Attribute && i + 1 < steps.size() && steps[i + 1].kind == StepKind::Call;
        const FunctionRow* method = calls ? findMethod(value, step.name->view()) : nullptr;
        if (!method) {
            value = applyStep(value, step, i + 1 == steps.size() ? caller : nullptr);
            continue;
        }
        Args args = arguments(steps[++i].arguments);
        if (caller && i + 1 == steps.size())
            args.keyword.emplace_back(program_.symbols[known("caller")], *caller);
        line_ = step.line;
        value = invoke(*method, *this, value, args);
    }
    return value;
}

Value Interpreter::applyStep(const Value& value, const Step& step, const Value* caller) {
    const auto bound = [this](const Expression* expression) {
        return expression ? evaluate(*expression) : Value();
    };
    switch (step.kind) {
    case StepKind::Attribute:
        line_ = step.line;
        return attribute(value, step.name);
    case StepKind::Item: {
        const Value key = evaluate(*step.first);
        line_ = step.line;
        return item(value, key);
    }
    case StepKind::Slice: {
        const Value from = bound(step.first), to = bound(step.second), by = bound(step.third);
        line_ = step.line;
        return slice(value, from, to, by);
    }
    case StepKind::Call:
    case StepKind::Filter:
    case StepKind::Test:
        break;
    }
    if (step.kind != StepKind::Call && !step.row)
        fail("No " + std::string(step.kind == StepKind::Filter ? "filter" : "test") + " named " +
             inQuotes(step.name->view()) + " found.");
    Args args = arguments(step.arguments);
    line_ = step.line;
    if (step.kind == StepKind::Call) {
        if (caller) args.keyword.emplace_back(program_.symbols[known("caller")], *caller);
        return call(value, args);
    }
    Value result = invoke(*step.row, *this, value, args);
    return step.kind == StepKind::Test ? Value(truth(result) != step.negated) : result;
}

Value Interpreter::applyFilter(const Value& name, const Value& self, Args& args) {
    const FunctionRow* row = name.is(Kind::String) ? findFilter(name.text().view()) : nullptr;
    if (!row) fail("No filter named " + toRepr(name, meter_).bytes() + ".");
    meter_.step();
    return invoke(*row, *this, self, args);
}

bool Interpreter::applyTest(const Value& name, const Value& self, Args& args) {
    const FunctionRow* row = name.is(Kind::String) ? findTest(name.text().view()) : nullptr;
    if (!row) fail("No test named " + toRepr(name, meter_).bytes() + ".");
    meter_.step();
    return truth(invoke(*row, *this, self, args));
}

}  // namespace conclave::engine::text::jinja
