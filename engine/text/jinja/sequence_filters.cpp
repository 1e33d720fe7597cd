// Filters that look at or rearrange sequences.

#include <algorithm>

#include "engine/text/jinja/attribute_path.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

Value byDefault(Call& call) {
    const bool absent = call.self.is(Kind::Undefined) || (call.flag(1, false) && !truth(call.self));
    if (!absent) return call.self;
    return call.has(0) ? call.at(0) : call.in.string(Text());
}

Value list(Call& call) {
    return call.in.heap().list(call.in.items(call.self));
}

Value first(Call& call) {
    if (call.self.is(Kind::Generator)) {
        auto& generator = call.self.as<GeneratorObject>();
        if (generator.next < generator.items.size()) return generator.items[generator.next++];
    } else if (const std::vector<Value> items = call.in.items(call.self); !items.empty()) {
        return items.front();
    }
    return call.in.heap().undefined("No first item, sequence was empty.");
}

Value last(Call& call) {
    if (call.self.is(Kind::Generator)) fail("'generator' object is not reversible");
    const std::vector<Value> items = call.in.items(call.self);
    return items.empty() ? call.in.heap().undefined("No last item, sequence was empty.") : items.back();
}

Value join(Call& call) {
    const Text separator = call.has(0) ? call.in.text(call.at(0)) : Text();
    const AttributePath path(call.in, call.bound[1]);
    Text out;
    bool isFirst = true;
    for (const Value& item : call.in.items(call.self)) {
        const size_t before = out.size();
        if (!std::exchange(isFirst, false)) out.append(separator);
        appendText(out, path(item), call.in.meter());
        call.in.meter().grown(out.size(), out.size() - before);
    }
    return call.in.string(std::move(out));
}

Value reverse(Call& call) {
    if (call.self.is(Kind::String)) return call.in.slice(call.self, Value(), Value(), Value(int64_t{-1}));
    std::vector<Value> items = call.in.items(call.self);
    std::reverse(items.begin(), items.end());
    return call.in.heap().generator(std::move(items));
}

/// Sorts items by keys that were taken from them once; stable, as Python's sorted().
std::vector<Value> sortedBy(Interpreter& in, const std::vector<Value>& items,
                            const std::vector<std::vector<Value>>& keys, bool descending) {
    std::vector<size_t> order(items.size());
    for (size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    const auto before = [&](size_t a, size_t b) {
        for (size_t k = 0; k < keys[a].size(); ++k) {
            if (equals(keys[a][k], keys[b][k], in.meter())) continue;
            return compare(keys[a][k], keys[b][k], "<", in.meter()) == -1;
        }
        return false;
    };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        in.meter().step();
        return descending ? before(b, a) : before(a, b);
    });
    std::vector<Value> out;
    out.reserve(items.size());
    for (const size_t i : order)
        out.push_back(items[i]);
    return out;
}

Value sort(Call& call) {
    const bool descending = call.flag(0, false), caseSensitive = call.flag(1, false);
    const std::vector<AttributePath> paths = AttributePath::several(call.in, call.bound[2]);
    const std::vector<Value> items = call.in.items(call.self);
    std::vector<std::vector<Value>> keys;
    keys.reserve(items.size());
    for (const Value& item : items) {
        std::vector<Value> key;
        key.reserve(paths.size());
        for (const AttributePath& path : paths)
            key.push_back(sortKey(call.in, path(item), caseSensitive));
        keys.push_back(std::move(key));
    }
    return call.in.heap().list(sortedBy(call.in, items, keys, descending));
}

Value dictSort(Call& call) {
    const bool caseSensitive = call.flag(0, false), descending = call.flag(2, false);
    const std::string_view by = call.has(1) ? call.text(1).view() : "key";
    if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
    if (!call.self.is(Kind::Dict))
        fail("dictsort() needs a mapping, not " + std::string(typeName(call.self)));
    std::vector<Value> pairs;
    std::vector<std::vector<Value>> keys;
    for (const auto& [key, value] : call.self.as<DictObject>().entries()) {
        pairs.push_back(call.in.heap().tuple({key, value}));
        keys.push_back({sortKey(call.in, by == "key" ? key : value, caseSensitive)});
    }
    return call.in.heap().list(sortedBy(call.in, pairs, keys, descending));
}

Value unique(Call& call) {
    const bool caseSensitive = call.flag(0, false);
    const AttributePath path(call.in, call.bound[1]);
    DictObject seen;
    std::vector<Value> out;
    for (const Value& item : call.in.items(call.self)) {
        const Value key = sortKey(call.in, path(item), caseSensitive);
        if (seen.find(key)) continue;
        seen.add(key, Value(true));
        out.push_back(item);
    }
    return call.in.heap().generator(std::move(out));
}

Value extreme(Call& call, bool largest) {
    const bool caseSensitive = call.flag(0, false);
    const AttributePath path(call.in, call.bound[1]);
    const std::vector<Value> items = call.in.items(call.self);
    if (items.empty()) return call.in.heap().undefined("No aggregated item, sequence was empty.");
    size_t best = 0;
    Value bestKey = sortKey(call.in, path(items[0]), caseSensitive);
    for (size_t i = 1; i < items.size(); ++i) {
        Value key = sortKey(call.in, path(items[i]), caseSensitive);
        if (compare(key, bestKey, largest ? ">" : "<", call.in.meter()) != (largest ? 1 : -1)) continue;
        best = i;
        bestKey = std::move(key);
    }
    return items[best];
}
Value smallest(Call& call) {
    return extreme(call, false);
}
Value largest(Call& call) {
    return extreme(call, true);
}

Value sum(Call& call) {
    const AttributePath path(call.in, call.bound[0]);
    Value out = call.has(1) ? call.at(1) : Value(int64_t{0});
    if (out.is(Kind::String)) fail("sum() can't sum strings [use ''.join(seq) instead]");
    for (const Value& item : call.in.items(call.self))
        out = arithmetic(call.in, Operator::Add, out, path(item));
    return out;
}

size_t positive(Call& call, size_t i) {
    const int64_t count = call.integer(i, 1);
    if (count <= 0) fail(std::string(call.name) + "() needs a positive number, not " + std::to_string(count));
    return static_cast<size_t>(count);
}

Value batch(Call& call) {
    const size_t size = positive(call, 0);
    std::vector<Value> out, row;
    const auto finish = [&]() { out.push_back(call.in.heap().list(std::exchange(row, {}))); };
    for (const Value& item : call.in.items(call.self)) {
        if (row.size() == size) finish();
        row.push_back(item);
    }
    if (!row.empty()) {
        if (call.given(1)) {
            call.in.meter().items(size);
            row.resize(size, call.at(1));
        }
        finish();
    }
    return call.in.heap().generator(std::move(out));
}

Value slices(Call& call) {
    const size_t count = positive(call, 0);
    call.in.meter().items(count);
    const std::vector<Value> items = call.in.items(call.self);
    const size_t each = items.size() / count, longer = items.size() % count;
    std::vector<Value> out;
    auto from = items.begin();
    for (size_t i = 0; i < count; ++i) {
        const auto to = from + static_cast<std::ptrdiff_t>(each + (i < longer ? 1 : 0));
        std::vector<Value> part(from, to);
        if (call.given(1) && i >= longer) part.push_back(call.at(1));
        out.push_back(call.in.heap().list(std::move(part)));
        from = to;
    }
    return call.in.heap().generator(std::move(out));
}

Value groupBy(Call& call) {
    const AttributePath path(call.in, &call.at(0));
    const Value* absent = call.bound[1];
    const bool caseSensitive = call.flag(2, false);
    const std::vector<Value> items = call.in.items(call.self);
    std::vector<std::vector<Value>> keys;
    keys.reserve(items.size());
    for (const Value& item : items)
        keys.push_back({sortKey(call.in, path(item, absent), caseSensitive)});
    std::vector<Value> out;
    std::vector<Value> group;
    const auto finish = [&]() {
        if (group.empty()) return;
        const Value name = path(group.front(), absent);
        const Value tuple = call.in.heap().tuple({name, call.in.heap().list(std::exchange(group, {}))});
        tuple.as<ListObject>().group = true;
        out.push_back(tuple);
    };
    for (const Value& item : sortedBy(call.in, items, keys, false)) {
        const bool same =
            !group.empty() && equals(sortKey(call.in, path(group.front(), absent), caseSensitive),
                                     sortKey(call.in, path(item, absent), caseSensitive), call.in.meter());
        if (!same) finish();
        group.push_back(item);
    }
    finish();
    return call.in.heap().list(std::move(out));
}

Value items(Call& call) {
    if (call.self.is(Kind::Undefined)) return call.in.heap().generator({});
    if (!call.self.is(Kind::Dict)) fail("Can only get item pairs from a mapping.");
    std::vector<Value> out;
    for (const auto& [key, value] : call.self.as<DictObject>().entries())
        out.push_back(call.in.heap().tuple({key, value}));
    return call.in.heap().generator(std::move(out));
}

Value attribute(Call& call) {
    // Like the dot, but never a key of a dict.
    if (call.self.is(Kind::Undefined)) fail(call.self.undefinedMessage());
    const Value found = call.in.attribute(call.self, call.in.string(call.in.text(call.at(0))).textRef());
    const bool fromKey = call.self.is(Kind::Dict) && !found.is(Kind::Method);
    return fromKey ? Value::undefinedAttribute(Kind::Dict, call.in.string(call.in.text(call.at(0))).textRef())
                   : found;
}

constexpr FunctionRow kFilters[] = {
    {"default", "?default_value ?boolean", byDefault},
    {"d", "?default_value ?boolean", byDefault},
    {"list", "", list},
    {"first", "", first},
    {"last", "", last},
    {"join", "?d ?attribute", join},
    {"reverse", "", reverse},
    {"sort", "?reverse ?case_sensitive ?attribute", sort},
    {"dictsort", "?case_sensitive ?by ?reverse", dictSort},
    {"unique", "?case_sensitive ?attribute", unique},
    {"min", "?case_sensitive ?attribute", smallest},
    {"max", "?case_sensitive ?attribute", largest},
    {"sum", "?attribute ?start", sum},
    {"batch", "linecount ?fill_with", batch},
    {"slice", "slices ?fill_with", slices},
    {"groupby", "attribute ?default ?case_sensitive", groupBy},
    {"items", "", items},
    {"attr", "name", attribute},
};

}  // namespace

std::span<const FunctionRow> sequenceFilters() {
    return kFilters;
}

}  // namespace conclave::engine::text::jinja
