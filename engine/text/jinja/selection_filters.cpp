// map, select, reject and their kin: filters that apply filters and tests.

#include <algorithm>

#include "engine/text/jinja/attribute_path.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

std::optional<Value> takeKeyword(Args& args, std::string_view name) {
    const auto at = std::find_if(args.keyword.begin(), args.keyword.end(),
                                 [name](const auto& it) { return it.first->view() == name; });
    if (at == args.keyword.end()) return std::nullopt;
    Value out = std::move(at->second);
    args.keyword.erase(at);
    return out;
}

Value map(Call& call) {
    if (!truth(call.self)) return call.in.heap().generator({});
    std::vector<Value> out;
    Args& args = call.args;
    if (args.positional.empty()) {
        const std::optional<Value> attribute = takeKeyword(args, "attribute");
        if (!attribute) fail("map requires a filter argument");
        const std::optional<Value> byDefault = takeKeyword(args, "default");
        if (!args.keyword.empty())
            fail("Unexpected keyword argument " + inQuotes(args.keyword.front().first->view()));
        const AttributePath path(call.in, &*attribute);
        for (const Value& item : call.in.items(call.self))
            out.push_back(path(item, byDefault ? &*byDefault : nullptr));
        return call.in.heap().generator(std::move(out));
    }
    const Value name = args.positional.front();
    args.positional.erase(args.positional.begin());
    for (const Value& item : call.in.items(call.self)) {
        Args each = args;
        out.push_back(call.in.applyFilter(name, item, each));
    }
    return call.in.heap().generator(std::move(out));
}

Value selected(Call& call, bool wanted, bool byAttribute) {
    if (!truth(call.self)) return call.in.heap().generator({});
    Args rest = call.args;
    const auto take = [&rest]() {
        Value out = rest.positional.front();
        rest.positional.erase(rest.positional.begin());
        return out;
    };
    if (byAttribute && rest.positional.empty()) fail("Missing parameter for attribute name");
    const Value attribute = byAttribute ? take() : Value();
    const AttributePath path(call.in, &attribute);
    const std::optional<Value> test = rest.positional.empty() ? std::nullopt : std::optional<Value>(take());
    std::vector<Value> out;
    for (const Value& item : call.in.items(call.self)) {
        const Value looked = path(item);
        Args each = rest;
        const bool passes = test ? call.in.applyTest(*test, looked, each) : truth(looked);
        if (passes == wanted) out.push_back(item);
    }
    return call.in.heap().generator(std::move(out));
}
Value select(Call& call) {
    return selected(call, true, false);
}
Value reject(Call& call) {
    return selected(call, false, false);
}
Value selectAttribute(Call& call) {
    return selected(call, true, true);
}
Value rejectAttribute(Call& call) {
    return selected(call, false, true);
}

constexpr FunctionRow kFilters[] = {
    {"map", "*", map},
    {"select", "*", select},
    {"reject", "*", reject},
    {"selectattr", "*", selectAttribute},
    {"rejectattr", "*", rejectAttribute},
};

}  // namespace

std::span<const FunctionRow> selectionFilters() {
    return kFilters;
}

}  // namespace conclave::engine::text::jinja
