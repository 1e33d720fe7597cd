// Methods of lists, tuples, dicts, loops and cyclers. Those that change a list or dict are allowed: what they
// change belongs to the rendering.

#include <algorithm>
#include <cmath>

#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

std::vector<Value>& itemsOf(Call& call) {
    return call.self.as<ListObject>().items;
}
DictObject& dictOf(Call& call) {
    return call.self.as<DictObject>();
}

std::ptrdiff_t clipped(int64_t index, size_t size) {
    const auto count = static_cast<int64_t>(size);
    return static_cast<std::ptrdiff_t>(std::clamp(index < 0 ? index + count : index, int64_t{0}, count));
}

Value listAppend(Call& call) {
    call.in.heap().grow(1);
    itemsOf(call).push_back(call.at(0));
    return Value();
}

Value listExtend(Call& call) {
    for (const Value& item : call.in.items(call.at(0))) {
        call.in.heap().grow(1);
        itemsOf(call).push_back(item);
    }
    return Value();
}

Value listInsert(Call& call) {
    call.in.heap().grow(1);
    auto& items = itemsOf(call);
    call.in.meter().step(items.size() / 8);
    items.insert(items.begin() + clipped(call.integer(0, 0), items.size()), call.at(1));
    return Value();
}

Value listPop(Call& call) {
    auto& items = itemsOf(call);
    if (items.empty()) fail("pop from empty list");
    int64_t index = call.integer(0, -1);
    if (index < 0) index += static_cast<int64_t>(items.size());
    if (index < 0 || index >= static_cast<int64_t>(items.size())) fail("pop index out of range");
    call.in.meter().step(items.size() / 8);
    const auto at = items.begin() + static_cast<std::ptrdiff_t>(index);
    Value out = std::move(*at);
    items.erase(at);
    return out;
}

std::vector<Value>::iterator located(Call& call, size_t from, size_t to) {
    auto& items = itemsOf(call);
    call.in.meter().step(items.size() / 8);
    return std::find_if(items.begin() + static_cast<std::ptrdiff_t>(from),
                        items.begin() + static_cast<std::ptrdiff_t>(to),
                        [&](const Value& it) { return equals(it, call.at(0), call.in.meter()); });
}

Value listRemove(Call& call) {
    auto& items = itemsOf(call);
    const auto at = located(call, 0, items.size());
    if (at == items.end()) fail("list.remove(x): x not in list");
    items.erase(at);
    return Value();
}

Value listIndex(Call& call) {
    auto& items = itemsOf(call);
    const std::ptrdiff_t from = clipped(call.integer(1, 0), items.size());
    const std::ptrdiff_t to = std::max(from, clipped(call.integer(2, INT64_MAX), items.size()));
    const auto at = located(call, static_cast<size_t>(from), static_cast<size_t>(to));
    if (at == items.begin() + to)
        fail(toRepr(call.at(0), call.in.meter()).bytes() + " is not in " + std::string(typeName(call.self)));
    return Value(static_cast<int64_t>(at - items.begin()));
}

Value listCount(Call& call) {
    const auto& items = itemsOf(call);
    call.in.meter().step(items.size() / 8);
    return Value(static_cast<int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& it) {
        return equals(it, call.at(0), call.in.meter());
    })));
}

Value listReverse(Call& call) {
    std::reverse(itemsOf(call).begin(), itemsOf(call).end());
    return Value();
}

Value listSort(Call& call) {
    auto& items = itemsOf(call);
    call.in.meter().items(items.size());
    std::vector<Value> sorted = items;
    std::stable_sort(sorted.begin(), sorted.end(), [&](const Value& a, const Value& b) {
        return compare(a, b, "<", call.in.meter()) == -1;
    });
    if (call.flag(0, false)) std::reverse(sorted.begin(), sorted.end());
    items = std::move(sorted);
    return Value();
}

Value listClear(Call& call) {
    itemsOf(call).clear();
    return Value();
}

Value listCopy(Call& call) {
    return call.in.heap().list(itemsOf(call));
}

Value view(Call& call, ViewOf of) {
    auto* out = call.in.heap().make<ViewObject>();
    out->dict = &dictOf(call);
    out->of = of;
    return Value(Kind::View, out);
}
Value dictItems(Call& call) {
    return view(call, ViewOf::Items);
}
Value dictKeys(Call& call) {
    return view(call, ViewOf::Keys);
}
Value dictValues(Call& call) {
    return view(call, ViewOf::Values);
}

Value dictGet(Call& call) {
    if (const Value* found = dictOf(call).find(call.at(0))) return *found;
    return call.has(1) ? call.at(1) : Value();
}

Value dictPop(Call& call) {
    DictObject& dict = dictOf(call);
    call.in.meter().step(dict.size());
    if (const Value* found = dict.find(call.at(0))) {
        Value out = *found;
        dict.erase(call.at(0));
        return out;
    }
    if (!call.has(1)) fail("KeyError: " + toRepr(call.at(0), call.in.meter()).bytes());
    return call.at(1);
}

Value dictPopItem(Call& call) {
    DictObject& dict = dictOf(call);
    if (dict.size() == 0) fail("popitem(): dictionary is empty");
    call.in.meter().step(dict.size());
    const auto [key, value] = dict.entries().back();
    dict.erase(key);
    return call.in.heap().tuple({key, value});
}

Value dictSetDefault(Call& call) {
    DictObject& dict = dictOf(call);
    if (const Value* found = dict.find(call.at(0))) return *found;
    call.in.heap().grow(2);
    Value value = call.has(1) ? call.at(1) : Value();
    dict.set(call.at(0), value);
    return value;
}

Value dictUpdate(Call& call) {
    fillDict(call.in, dictOf(call), call.args);
    return Value();
}

Value dictClear(Call& call) {
    dictOf(call).clear();
    return Value();
}

Value dictCopy(Call& call) {
    auto* out = call.in.heap().make<DictObject>();
    call.in.heap().grow(dictOf(call).size() * 2);
    for (const auto& [key, value] : dictOf(call).entries())
        out->add(key, value);
    return Value(Kind::Dict, out);
}

Value loopCycle(Call& call) {
    if (call.args.positional.empty()) fail("no items for cycling given");
    const int64_t index = call.self.as<LoopObject>().index0();
    return call.args.positional[static_cast<size_t>(index) % call.args.positional.size()];
}

Value loopChanged(Call& call) {
    return Value(call.self.as<LoopObject>().changed(call.args.positional));
}

Value cyclerNext(Call& call) {
    auto& cycler = call.self.as<CyclerObject>();
    const Value out = cycler.items[cycler.at];
    cycler.at = (cycler.at + 1) % cycler.items.size();
    return out;
}

Value cyclerReset(Call& call) {
    call.self.as<CyclerObject>().at = 0;
    return Value();
}

Value floatIsInteger(Call& call) {
    return Value(std::floor(call.self.number()) == call.self.number());
}

constexpr FunctionRow kListMethods[] = {
    {"count", "value", listCount},
    {"index", "value ?start ?stop", listIndex},  // tuples have these two
    {"append", "object", listAppend},
    {"clear", "", listClear},
    {"copy", "", listCopy},
    {"extend", "iterable", listExtend},
    {"insert", "index object", listInsert},
    {"pop", "?index", listPop},
    {"remove", "value", listRemove},
    {"reverse", "", listReverse},
    {"sort", "?reverse", listSort},
};
constexpr size_t kTupleMethods = 2;

constexpr FunctionRow kDictMethods[] = {
    {"clear", "", dictClear},         {"copy", "", dictCopy},
    {"get", "key ?default", dictGet}, {"items", "", dictItems},
    {"keys", "", dictKeys},           {"pop", "key ?default", dictPop},
    {"popitem", "", dictPopItem},     {"setdefault", "key ?default", dictSetDefault},
    {"update", "*", dictUpdate},      {"values", "", dictValues},
};

constexpr FunctionRow kLoopMethods[] = {{"cycle", "*", loopCycle}, {"changed", "*", loopChanged}};
constexpr FunctionRow kCyclerMethods[] = {{"next", "", cyclerNext}, {"reset", "", cyclerReset}};
constexpr FunctionRow kFloatMethods[] = {{"is_integer", "", floatIsInteger}};

std::span<const FunctionRow> methodsOf(Kind kind) {
    switch (kind) {
    case Kind::String:
        return stringMethods();
    case Kind::List:
        return kListMethods;
    case Kind::Tuple:
        return std::span(kListMethods).first(kTupleMethods);
    case Kind::Dict:
        return kDictMethods;
    case Kind::Loop:
        return kLoopMethods;
    case Kind::Cycler:
        return kCyclerMethods;
    case Kind::Float:
        return kFloatMethods;
    default:
        return {};
    }
}

}  // namespace

const FunctionRow* findMethod(const Value& value, std::string_view name) {
    for (const FunctionRow& row : methodsOf(value.kind()))
        if (row.name == name) return &row;
    return nullptr;
}

void fillDict(Interpreter& in, DictObject& dict, const Args& args) {
    if (args.positional.size() > 1)
        fail("dict expected at most 1 argument, got " + std::to_string(args.positional.size()));
    if (!args.positional.empty() && args.positional[0].is(Kind::Dict)) {
        const auto entries =
            args.positional[0].as<DictObject>().entries();  // a copy: it may be the same dict
        in.heap().grow(entries.size() * 2);
        for (const auto& [key, value] : entries)
            dict.set(key, value);
    } else if (!args.positional.empty()) {
        for (const Value& pair : in.items(args.positional[0])) {
            const std::vector<Value> both = in.items(pair);
            if (both.size() != 2)
                fail("dictionary update sequence element has length " + std::to_string(both.size()) +
                     "; 2 is required");
            in.heap().grow(2);
            dict.set(both[0], both[1]);
        }
    }
    for (const auto& [name, value] : args.keyword) {
        in.heap().grow(2);
        dict.set(Value(name), value);
    }
}

}  // namespace conclave::engine::text::jinja
