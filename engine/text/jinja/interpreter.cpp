#include "engine/text/jinja/interpreter.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/text/jinja/functions.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

constexpr Symbol kUnmentioned = std::numeric_limits<Symbol>::max();

}  // namespace

Interpreter::Interpreter(const Program& program, const TemplateBudget& budget, const std::tm& now)
    : program_(program), meter_(budget), heap_(meter_), now_(now), top_(program.symbols.size()),
      topKnown_(program.symbols.size(), false), loop_(known("loop")) {
    for (const FunctionRow& row : globalFunctions()) {
        const Symbol symbol = known(row.name);
        if (symbol == kUnmentioned) continue;
        auto* function = heap_.make<FunctionObject>();
        function->row = &row;
        set(symbol, Value(Kind::Function, function));
    }
}

Symbol Interpreter::known(std::string_view name) const {
    const auto at = program_.symbolOf.find(std::string(name));
    return at == program_.symbolOf.end() ? kUnmentioned : at->second;
}

bool Interpreter::mentions(std::string_view name) const {
    return known(name) != kUnmentioned;
}

void Interpreter::define(std::string_view name, Value value) {
    if (const Symbol symbol = known(name); symbol != kUnmentioned) set(symbol, std::move(value));
}

Text Interpreter::run() {
    try {
        meter_.forgiveHeld();
        run(program_.body);
    } catch (Failure& failure) {
        if (failure.line == 0) failure.line = line_;
        throw;
    }
    return std::move(output_);
}

// --- variables ---

Scope* Interpreter::open(Scope* parent) {
    Scope* scope = nullptr;
    if (spare_.empty()) {
        scope = heap_.make<Scope>();
    } else {
        scope = spare_.back();
        spare_.pop_back();
    }
    scope->parent = parent;
    return scope;
}

void Interpreter::close(Scope* scope) {
    if (scope->captured) return;
    scope->variables.clear();
    spare_.push_back(scope);
}

void Interpreter::captureScopes() {
    for (Scope* scope = current_; scope && !scope->captured; scope = scope->parent)
        scope->captured = true;
}

Value Interpreter::lookup(Symbol symbol) {
    for (Scope* scope = current_; scope; scope = scope->parent)
        if (const Value* value = scope->find(symbol)) return *value;
    return topKnown_[symbol] ? top_[symbol] : Value::undefinedVariable(program_.symbols[symbol]);
}

void Interpreter::set(Symbol symbol, Value value) {
    if (current_) return current_->set(symbol, std::move(value));
    top_[symbol] = std::move(value);
    topKnown_[symbol] = true;
}

void Interpreter::assign(const Target& target, const Value& value) {
    switch (target.kind) {
    case TargetKind::Variable:
        return set(target.symbol, value);
    case TargetKind::Attribute: {
        const Value object = lookup(target.symbol);
        if (!object.is(Kind::Namespace)) fail("cannot assign attribute on non-namespace object");
        heap_.grow(1);
        return object.as<DictObject>().set(Value(target.attribute), value);
    }
    case TargetKind::Tuple:
        break;
    }
    const bool walks = !isNumber(value) && !value.is(Kind::None);
    if (!walks) fail("cannot unpack non-iterable " + std::string(typeName(value)) + " object");
    const std::vector<Value> values = items(value);
    const std::string expected = "(expected " + std::to_string(target.items.size());
    if (values.size() < target.items.size())
        fail("not enough values to unpack " + expected + ", got " + std::to_string(values.size()) + ")");
    if (values.size() > target.items.size()) fail("too many values to unpack " + expected + ")");
    for (size_t i = 0; i < values.size(); ++i)
        assign(target.items[i], values[i]);
}

// --- statements ---

Interpreter::Flow Interpreter::run(const Body& body) {
    for (const Statement* statement : body)
        if (const Flow flow = run(*statement); flow != Flow::Next) return flow;
    return Flow::Next;
}

Interpreter::Flow Interpreter::run(const Statement& statement) {
    meter_.step();
    const Meter::Nesting nesting(meter_);
    line_ = statement.line;
    return std::visit([this](const auto& node) { return run(node); }, statement.node);
}

void Interpreter::emit(const Value& value) {
    const size_t before = out_->size();
    appendText(*out_, value, meter_);
    meter_.grown(out_->size(), out_->size() - before);
}

Interpreter::Flow Interpreter::run(const Output& node) {
    for (const Output::Part& part : node.parts)
        emit(part.text ? Value(part.text) : evaluate(*part.value));
    return Flow::Next;
}

Interpreter::Flow Interpreter::run(const If& node) {
    for (const If::Branch& branch : node.branches)
        if (!branch.test || truth(evaluate(*branch.test))) return run(branch.body);
    return Flow::Next;
}

bool Interpreter::passesTest(const For& loop, Scope* around, const Value& item) {
    Scope* const outer = std::exchange(current_, open(around));
    Scope* const inner = current_;
    assign(loop.target, item);
    const bool passes = truth(evaluate(*loop.test));
    current_ = outer;
    close(inner);
    return passes;
}

void Interpreter::turns(const For& node, const Value& iterable, int64_t depth0, Scope* around) {
    auto* loop = heap_.make<LoopObject>();
    loop->node = &node;
    loop->in = this;
    loop->around = around;
    loop->depth0 = depth0;
    loop->begin(items(iterable));
    Scope* const outer = current_;
    bool finishedATurn = false;  // what Jinja's else looks at: a turn that was cut short does not count
    Flow flow = Flow::Next;
    while (flow != Flow::Break && loop->advance()) {
        meter_.step();
        Scope* const turn = open(around);
        current_ = turn;
        if (loop_ != kUnmentioned) turn->set(loop_, Value(Kind::Loop, loop));
        assign(node.target, loop->item());
        flow = run(node.body);
        finishedATurn = finishedATurn || flow == Flow::Next;
        current_ = outer;
        close(turn);
    }
    loop->end();
    if (finishedATurn || node.otherwise.empty()) return;
    current_ = open(around);
    Scope* const scope = current_;
    run(node.otherwise);
    current_ = outer;
    close(scope);
}

Interpreter::Flow Interpreter::run(const For& node) {
    const Value iterable = evaluate(*node.iterable);
    if (node.recursive) {
        captureScopes();
        emit(recursiveLoop(node, iterable, 0, current_));
    } else {
        turns(node, iterable, 0, current_);
    }
    return Flow::Next;
}

Value Interpreter::recursiveLoop(const For& node, const Value& iterable, int64_t depth0, Scope* around) {
    const Meter::Calling calling(meter_);
    Text text;
    Text* const outer = std::exchange(out_, &text);
    turns(node, iterable, depth0, around);
    out_ = outer;
    return string(std::move(text));
}

Interpreter::Flow Interpreter::run(const Assign& node) {
    assign(node.target, evaluate(*node.value));
    return Flow::Next;
}

Interpreter::Flow Interpreter::scoped(const Body& body) {
    Scope* const outer = std::exchange(current_, open(current_));
    Scope* const inner = current_;
    const Flow flow = run(body);
    current_ = outer;
    close(inner);
    return flow;
}

Interpreter::Flow Interpreter::capture(const Body& body, Text& out) {
    Text* const outer = std::exchange(out_, &out);
    const Flow flow = scoped(body);
    out_ = outer;
    return flow;
}

Interpreter::Flow Interpreter::run(const AssignBlock& node) {
    Text text;
    if (const Flow flow = capture(node.body, text); flow != Flow::Next) return flow;
    assign(node.target, applySteps(string(std::move(text)), node.filters, nullptr));
    return Flow::Next;
}

Interpreter::Flow Interpreter::run(const FilterBlock& node) {
    Text text;
    if (const Flow flow = capture(node.body, text); flow != Flow::Next) return flow;
    emit(applySteps(string(std::move(text)), node.filters, nullptr));
    return Flow::Next;
}

Interpreter::Flow Interpreter::run(const With& node) {
    std::vector<Value> values;
    for (const auto& [target, value] : node.variables)
        values.push_back(evaluate(*value));
    Scope* const outer = std::exchange(current_, open(current_));
    Scope* const inner = current_;
    for (size_t i = 0; i < values.size(); ++i)
        assign(node.variables[i].first, values[i]);
    const Flow flow = run(node.body);
    current_ = outer;
    close(inner);
    return flow;
}

Interpreter::Flow Interpreter::run(const Scoped& node) {
    return scoped(node.body);
}

// --- macros ---

Value Interpreter::makeMacro(const MacroNode& node) {
    captureScopes();
    auto* macro = heap_.make<MacroObject>();
    macro->node = &node;
    macro->name = program_.symbols[node.name];
    macro->closure = current_;
    return Value(Kind::Macro, macro);
}

Interpreter::Flow Interpreter::run(const MacroNode& node) {
    set(node.name, makeMacro(node));
    return Flow::Next;
}

Interpreter::Flow Interpreter::run(const CallBlock& node) {
    const Value caller = makeMacro(node.caller);
    const auto& chain = std::get<Chain>(node.call->node);
    emit(applySteps(evaluate(*chain.base), chain.steps, &caller));
    return Flow::Next;
}

void Interpreter::bindMacro(const MacroObject& macro, Args& args, Scope& scope) {
    const MacroNode& node = *macro.node;
    const std::string called = "macro " + inQuotes(macro.name->view());
    const auto take = [&args](std::string_view name) -> std::optional<Value> {
        const auto at = std::find_if(args.keyword.begin(), args.keyword.end(),
                                     [name](const auto& it) { return it.first->view() == name; });
        if (at == args.keyword.end()) return std::nullopt;
        Value value = std::move(at->second);
        args.keyword.erase(at);
        return value;
    };
    const auto bind = [&](std::string_view name, Value value) {
        if (const Symbol symbol = known(name); symbol != kUnmentioned) scope.set(symbol, std::move(value));
    };
    std::vector<std::optional<Value>> given;
    for (size_t i = 0; i < node.parameters.size(); ++i) {
        if (i < args.positional.size())
            given.emplace_back(args.positional[i]);
        else
            given.push_back(take(program_.symbols[node.parameters[i].symbol]->view()));
    }
    if (node.usesCaller) bind("caller", take("caller").value_or(heap_.undefined("No caller defined")));
    if (node.usesKwargs) {
        auto* kwargs = heap_.make<DictObject>();
        for (auto& [name, value] : args.keyword)
            kwargs->set(Value(name), std::move(value));
        bind("kwargs", Value(Kind::Dict, kwargs));
    } else if (!args.keyword.empty()) {
        const std::string_view name = args.keyword.front().first->view();
        if (name == "caller")
            fail(called +
                 " was invoked with two values for the special caller argument. This is most likely a bug.");
        fail(called + " takes no keyword argument " + inQuotes(name));
    }
    const size_t count = node.parameters.size();
    if (node.usesVarargs) {
        std::vector<Value> rest;
        for (size_t i = count; i < args.positional.size(); ++i)
            rest.push_back(args.positional[i]);
        bind("varargs", heap_.tuple(std::move(rest)));
    } else if (args.positional.size() > count) {
        fail(called + " takes not more than " + std::to_string(count) + " argument(s)");
    }
    for (size_t i = 0; i < count; ++i) {
        const MacroNode::Parameter& parameter = node.parameters[i];
        if (given[i])
            scope.set(parameter.symbol, std::move(*given[i]));
        else if (parameter.byDefault)
            scope.set(parameter.symbol, evaluate(*parameter.byDefault));
        else
            scope.set(parameter.symbol,
                      heap_.undefined("parameter " + inQuotes(program_.symbols[parameter.symbol]->view()) +
                                      " was not provided"));
    }
}

Value Interpreter::callMacro(const MacroObject& macro, Args& args) {
    const Meter::Calling calling(meter_);
    Scope* const outer = current_;
    Scope* const inner = open(macro.closure);
    Text text;
    Text* const outerText = std::exchange(out_, &text);
    current_ = inner;
    bindMacro(macro, args, *inner);
    run(macro.node->body);
    current_ = outer;
    out_ = outerText;
    close(inner);
    return string(std::move(text));
}

Value Interpreter::call(const Value& callee, Args& args) {
    meter_.step();
    switch (callee.kind()) {
    case Kind::Undefined:
        fail(callee.undefinedMessage());
    case Kind::Macro:
        return callMacro(callee.as<MacroObject>(), args);
    case Kind::Function:
        return invoke(*callee.as<FunctionObject>().row, *this, Value(), args);
    case Kind::Method:
        return invoke(*callee.as<MethodObject>().row, *this, callee.as<MethodObject>().self, args);
    case Kind::Joiner: {
        auto& joiner = callee.as<JoinerObject>();
        return std::exchange(joiner.used, true) ? Value(joiner.separator) : string(Text());
    }
    case Kind::Loop: {
        auto& loop = callee.as<LoopObject>();
        if (!loop.node->recursive)
            fail("The loop must have the 'recursive' marker to be called recursively.");
        if (args.positional.size() != 1 || !args.keyword.empty()) fail("loop() takes one argument");
        return recursiveLoop(*loop.node, args.positional[0], loop.depth0 + 1, loop.around);
    }
    default:
        fail("'" + std::string(typeName(callee)) + "' object is not callable");
    }
}

}  // namespace conclave::engine::text::jinja
