#include "engine/text/jinja/callable.h"

#include <algorithm>

#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

struct Parameter {
    std::string_view name;
    bool optional = false;
};

std::vector<Parameter> parametersOf(std::string_view text) {
    std::vector<Parameter> out;
    while (!text.empty()) {
        const size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        const bool optional = word.front() == '?';
        out.push_back({optional ? word.substr(1) : word, optional});
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

void bind(const FunctionRow& row, Call& call) {
    const std::vector<Parameter> parameters = parametersOf(row.parameters);
    const Args& args = call.args;
    const std::string called = std::string(row.name) + "()";
    if (args.positional.size() > parameters.size())
        fail(called + " takes at most " + std::to_string(parameters.size()) + " arguments (" +
             std::to_string(args.positional.size()) + " given)");
    for (size_t i = 0; i < args.positional.size(); ++i)
        call.bound[i] = &args.positional[i];
    for (const auto& keyword : args.keyword) {
        const std::string_view name = keyword.first->view();
        const auto at = std::find_if(parameters.begin(), parameters.end(),
                                     [&](const Parameter& it) { return it.name == name; });
        if (at == parameters.end()) fail(called + " got an unexpected keyword argument " + inQuotes(name));
        const Value*& slot = call.bound[static_cast<size_t>(at - parameters.begin())];
        if (slot) fail(called + " got multiple values for argument " + inQuotes(name));
        slot = &keyword.second;
    }
    for (size_t i = 0; i < parameters.size(); ++i)
        if (!call.bound[i] && !parameters[i].optional)
            fail(called + " missing 1 required positional argument: " + inQuotes(parameters[i].name));
}

/// What a function reads costs by its length, so that long texts cannot hide from the clock.
void chargeFor(Interpreter& in, const Value& value) {
    if (value.is(Kind::String)) in.meter().step(value.text().size() / 1024);
}

}  // namespace

int64_t Call::integer(size_t i, int64_t byDefault) const {
    if (!bound[i]) return byDefault;
    const Value& value = at(i);
    if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
    if (!isInteger(value))
        fail("'" + std::string(typeName(value)) + "' object cannot be interpreted as an integer");
    return toInteger(value);
}

bool Call::flag(size_t i, bool byDefault) const {
    return bound[i] ? truth(at(i)) : byDefault;
}

const Text& Call::text(size_t i) const {
    const Value& value = at(i);
    if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
    if (!value.is(Kind::String))
        fail(std::string(name) + "() argument must be str, not " + std::string(typeName(value)));
    return value.text();
}

const Text& Call::selfText() const {
    if (self.is(Kind::Undefined)) fail(self.undefinedMessage());
    if (!self.is(Kind::String))
        fail(std::string(name) + "() needs a string, not " + std::string(typeName(self)));
    return self.text();
}

Value invoke(const FunctionRow& row, Interpreter& in, const Value& self, Args& args) {
    chargeFor(in, self);
    for (const Value& argument : args.positional)
        chargeFor(in, argument);
    Call call{in, row.name, self, args};
    if (row.parameters != "*") bind(row, call);
    return row.run(call);
}

std::string MacroObject::describe() const {
    return node->anonymous ? "<Macro anonymous>" : "<Macro " + inQuotes(name->view()) + ">";
}

}  // namespace conclave::engine::text::jinja
