// How values are looked into: list(x), x.name, x[key], x[from:to:step].

#include <algorithm>

#include "engine/base/utf8.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/loop.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/unicode.h"

namespace conclave::engine::text::jinja {
namespace {

std::vector<Value> characters(Heap& heap, const Text& text) {
    heap.meter().items(countCharacters(text.view()));
    std::vector<Value> out;
    for (size_t at = 0; at < text.size();) {
        const size_t from = at;
        base::nextCodePoint(text.view(), at);
        out.push_back(heap.string(text.slice(from, at)));
    }
    return out;
}

std::vector<Value> viewed(Heap& heap, const ViewObject& view) {
    std::vector<Value> out;
    heap.meter().items(view.dict->size());
    for (const auto& [key, value] : view.dict->entries()) {
        switch (view.of) {
        case ViewOf::Keys:
            out.push_back(key);
            break;
        case ViewOf::Values:
            out.push_back(value);
            break;
        case ViewOf::Items:
            out.push_back(heap.tuple({key, value}));
            break;
        }
    }
    return out;
}

std::vector<Value> ranged(Heap& heap, const RangeObject& range) {
    const int64_t size = range.size();
    heap.meter().items(static_cast<size_t>(size));
    std::vector<Value> out;
    out.reserve(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i)
        out.emplace_back(range.at(i));
    return out;
}

/// The item at a Python index (negative: from the end) of something with `size` items, or nowhere.
std::optional<int64_t> position(int64_t index, int64_t size) {
    if (index < 0) index += size;
    if (index < 0 || index >= size) return std::nullopt;
    return index;
}

/// The bounds of a slice after Python's slice.indices, and how many items it has.
struct Bounds {
    int64_t start = 0;
    int64_t step = 1;
    int64_t count = 0;
};

std::optional<int64_t> bound(const Value& value) {
    if (value.is(Kind::None)) return std::nullopt;
    if (value.is(Kind::Undefined) || !isInteger(value))
        fail("slice indices must be integers or None or have an __index__ method");
    return toInteger(value);
}

Bounds boundsOf(const Value& from, const Value& to, const Value& by, int64_t size) {
    const int64_t step = bound(by).value_or(1);
    if (step == 0) fail("slice step cannot be zero");
    const int64_t low = step < 0 ? -1 : 0;
    const int64_t high = step < 0 ? size - 1 : size;
    const auto clip = [&](const Value& value, int64_t byDefault) {
        std::optional<int64_t> given = bound(value);
        if (!given) return byDefault;
        if (*given < 0) given = std::max(*given, -size - 1) + size;
        return std::clamp(*given, low, high);
    };
    const int64_t start = clip(from, step < 0 ? high : low);
    const int64_t stop = clip(to, step < 0 ? low : high);
    RangeObject range;
    range.start = start;
    range.stop = stop;
    range.step = step;
    return {start, step, range.size()};
}

Text sliced(const Text& text, const Bounds& bounds) {
    if (bounds.count == 0) return Text();
    if (bounds.step == 1) {
        const size_t from = byteOffset(text.view(), static_cast<size_t>(bounds.start));
        const size_t length = byteOffset(text.view().substr(from), static_cast<size_t>(bounds.count));
        return text.slice(from, from + length);
    }
    std::vector<size_t> borders;
    for (size_t at = 0; at < text.size(); base::nextCodePoint(text.view(), at))
        borders.push_back(at);
    borders.push_back(text.size());
    Text out;
    for (int64_t i = 0; i < bounds.count; ++i) {
        const auto at = static_cast<size_t>(bounds.start + i * bounds.step);
        out.append(text, borders[at], borders[at + 1]);
    }
    return out;
}

std::vector<Value> sliced(const std::vector<Value>& items, const Bounds& bounds) {
    std::vector<Value> out;
    out.reserve(static_cast<size_t>(bounds.count));
    for (int64_t i = 0; i < bounds.count; ++i)
        out.push_back(items[static_cast<size_t>(bounds.start + i * bounds.step)]);
    return out;
}

/// Attributes that are not methods and not keys.
std::optional<Value> property(Heap& heap, const Value& value, std::string_view name) {
    switch (value.kind()) {
    case Kind::Loop:
        return value.as<LoopObject>().attribute(name);
    case Kind::Tuple: {
        const auto& tuple = value.as<ListObject>();
        if (tuple.group && name == "grouper") return tuple.items[0];
        if (tuple.group && name == "list") return tuple.items[1];
        return std::nullopt;
    }
    case Kind::Cycler: {
        const auto& cycler = value.as<CyclerObject>();
        if (name == "current") return cycler.items[cycler.at];
        return std::nullopt;
    }
    case Kind::Macro:
        if (name == "name") return Value(value.as<MacroObject>().name);
        return std::nullopt;
    case Kind::Range: {
        const auto& range = value.as<RangeObject>();
        if (name == "start") return Value(range.start);
        if (name == "stop") return Value(range.stop);
        if (name == "step") return Value(range.step);
        return std::nullopt;
    }
    default:
        break;
    }
    if (const FunctionRow* row = findMethod(value, name)) {
        auto* method = heap.make<MethodObject>();
        method->self = value;
        method->row = row;
        return Value(Kind::Method, method);
    }
    return std::nullopt;
}

/// value[index] for what is indexed by integers, or null.
std::optional<Value> indexed(Interpreter& in, const Value& value, int64_t index) {
    switch (value.kind()) {
    case Kind::List:
    case Kind::Tuple: {
        const auto& items = value.as<ListObject>().items;
        const auto at = position(index, static_cast<int64_t>(items.size()));
        return at ? std::optional<Value>(items[static_cast<size_t>(*at)]) : std::nullopt;
    }
    case Kind::Range: {
        const auto& range = value.as<RangeObject>();
        const auto at = position(index, range.size());
        return at ? std::optional<Value>(Value(range.at(*at))) : std::nullopt;
    }
    case Kind::String: {
        const Text& text = value.text();
        in.meter().step(text.size() / 256);
        const auto at = position(index, static_cast<int64_t>(countCharacters(text.view())));
        if (!at) return std::nullopt;
        return in.string(sliced(text, {*at, 1, 1}));
    }
    default:
        return std::nullopt;
    }
}

}  // namespace

Text Interpreter::text(const Value& value) {
    return toText(value, meter_);
}

std::vector<Value> Interpreter::items(const Value& value) {
    switch (value.kind()) {
    case Kind::Undefined:
        return {};
    case Kind::String:
        return characters(heap_, value.text());
    case Kind::List:
    case Kind::Tuple:
        meter_.items(value.as<ListObject>().items.size());
        return value.as<ListObject>().items;
    case Kind::Dict: {
        ViewObject keys;
        keys.dict = &value.as<DictObject>();
        return viewed(heap_, keys);
    }
    case Kind::View:
        return viewed(heap_, value.as<ViewObject>());
    case Kind::Range:
        return ranged(heap_, value.as<RangeObject>());
    case Kind::Generator: {
        auto& generator = value.as<GeneratorObject>();
        std::vector<Value> out(generator.items.begin() + static_cast<std::ptrdiff_t>(generator.next),
                               generator.items.end());
        generator.next = generator.items.size();
        meter_.items(out.size());
        return out;
    }
    default:
        fail("'" + std::string(typeName(value)) + "' object is not iterable");
    }
}

Value Interpreter::attribute(const Value& value, const TextRef& name) {
    if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
    if (std::optional<Value> found = property(heap_, value, name->view())) return *std::move(found);
    if (value.is(Kind::Dict) || value.is(Kind::Namespace))
        if (const Value* found = value.as<DictObject>().find(name->view())) return *found;
    return Value::undefinedAttribute(value.kind(), name);
}

Value Interpreter::item(const Value& value, const Value& key) {
    if (value.is(Kind::Undefined)) fail(value.undefinedMessage());
    if (key.is(Kind::String)) meter_.step(key.text().size() / 1024);
    const bool hashable = !key.is(Kind::List) && !key.is(Kind::Dict);
    if (value.is(Kind::Dict) && hashable)
        if (const Value* found = value.as<DictObject>().find(key)) return *found;
    if (isInteger(key))
        if (std::optional<Value> found = indexed(*this, value, toInteger(key))) return *std::move(found);
    if (key.is(Kind::String)) return attribute(value, key.textRef());
    return heap_.undefined(objectName(value.kind()) + " has no element " + toRepr(key, meter_).bytes());
}

Value Interpreter::slice(const Value& value, const Value& from, const Value& to, const Value& step) {
    const auto bounds = [&](size_t size) { return boundsOf(from, to, step, static_cast<int64_t>(size)); };
    switch (value.kind()) {
    case Kind::Undefined:
        fail(value.undefinedMessage());
    case Kind::List:
    case Kind::Tuple: {
        const auto& items = value.as<ListObject>().items;
        std::vector<Value> out = sliced(items, bounds(items.size()));
        return value.is(Kind::List) ? heap_.list(std::move(out)) : heap_.tuple(std::move(out));
    }
    case Kind::Range: {
        const std::vector<Value> all = items(value);
        return heap_.list(sliced(all, bounds(all.size())));
    }
    case Kind::String:
        return string(sliced(value.text(), bounds(countCharacters(value.text().view()))));
    case Kind::Dict:
    case Kind::Namespace:
        fail("unhashable type: 'slice'");
    default:
        fail("'" + std::string(typeName(value)) + "' object is not subscriptable");
    }
}

}  // namespace conclave::engine::text::jinja
