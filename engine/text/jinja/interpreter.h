#pragma once

#include <ctime>
#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/callable.h"
#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

/// One rendering of a program. Throws Failure with the line where it happened. Not thread-safe, used once.
class Interpreter {
  public:
    Interpreter(const Program& program, const TemplateBudget& budget, const std::tm& now);

    /// A variable of the input, kept if the template mentions it.
    void define(std::string_view name, Value value);
    bool mentions(std::string_view name) const;
    /// Renders the whole template.
    Text run();

    // What filters, tests, methods and operators need.

    Meter& meter() { return meter_; }
    Heap& heap() { return heap_; }
    const std::tm& now() const { return now_; }
    /// str(value)
    Text text(const Value& value);
    Value string(Text text) { return heap_.string(std::move(text)); }
    Value string(std::string bytes, bool trusted) { return heap_.string(std::move(bytes), trusted); }
    /// list(value); a generator is used up.
    std::vector<Value> items(const Value& value);
    /// value.name, falling back to value["name"].
    Value attribute(const Value& value, const TextRef& name);
    /// value[key], falling back to value.key.
    Value item(const Value& value, const Value& key);
    Value slice(const Value& value, const Value& from, const Value& to, const Value& step);
    Value call(const Value& callee, Args& args);
    Value applyFilter(const Value& name, const Value& self, Args& args);
    bool applyTest(const Value& name, const Value& self, Args& args);
    /// The `if` of a loop, for one item.
    bool passesTest(const For& loop, Scope* around, const Value& item);

  private:
    enum class Flow : uint8_t { Next, Break, Continue };

    // statements (interpreter.cpp)
    Flow run(const Body& body);
    Flow run(const Statement& statement);
    Flow run(const Output& node);
    Flow run(const If& node);
    Flow run(const For& node);
    Flow run(const Assign& node);
    Flow run(const AssignBlock& node);
    Flow run(const MacroNode& node);
    Flow run(const CallBlock& node);
    Flow run(const FilterBlock& node);
    Flow run(const With& node);
    Flow run(const Scoped& node);
    Flow run(const Jump& node) { return node.breaks ? Flow::Break : Flow::Continue; }
    void turns(const For& node, const Value& iterable, int64_t depth0, Scope* around);
    Value recursiveLoop(const For& node, const Value& iterable, int64_t depth0, Scope* around);
    Flow scoped(const Body& body);
    /// Runs a body in a scope of its own into `out`.
    Flow capture(const Body& body, Text& out);
    Value makeMacro(const MacroNode& node);
    Value callMacro(const MacroObject& macro, Args& args);
    void bindMacro(const MacroObject& macro, Args& args, Scope& scope);
    void emit(const Value& value);

    // variables
    Scope* open(Scope* parent);
    void close(Scope* scope);
    void captureScopes();
    Value lookup(Symbol symbol);
    void set(Symbol symbol, Value value);
    void assign(const Target& target, const Value& value);
    Symbol known(std::string_view name) const;

    // expressions (evaluate.cpp)
    Value evaluate(const Expression& expression);
    Value evaluate(const Literal& node) { return node.value; }
    Value evaluate(const Name& node) { return lookup(node.symbol); }
    Value evaluate(const Sequence& node);
    Value evaluate(const Mapping& node);
    Value evaluate(const Chain& node) { return applySteps(evaluate(*node.base), node.steps, nullptr); }
    Value evaluate(const Signed& node);
    Value evaluate(const Not& node);
    Value evaluate(const Arithmetic& node);
    Value evaluate(const Concatenation& node);
    Value evaluate(const Compare& node);
    Value evaluate(const Logic& node);
    Value evaluate(const Conditional& node);
    /// `caller`: what the last step, a call, gets as its keyword argument of that name.
    Value applySteps(Value value, const std::vector<Step>& steps, const Value* caller);
    Value applyStep(const Value& value, const Step& step, const Value* caller);
    Args arguments(const Arguments& node);
    bool holds(Comparison comparison, const Value& left, const Value& right);

    const Program& program_;
    Meter meter_;
    Heap heap_;
    const std::tm now_;
    std::vector<Value> top_;      // variables of the top level, by symbol
    std::vector<bool> topKnown_;  // which of them there are
    Scope* current_ = nullptr;    // null: the top level
    std::vector<Scope*> spare_;
    Text output_;
    Text* out_ = &output_;
    uint32_t line_ = 1;
    Symbol loop_ = 0;
};

}  // namespace conclave::engine::text::jinja
