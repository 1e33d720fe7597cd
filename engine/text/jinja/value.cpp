#include "engine/text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

constexpr size_t kIndexFrom = 12;  // a dict of fewer entries is searched by looking at all of them
constexpr size_t kNowhere = static_cast<size_t>(-1);

std::string_view typeNameOf(Kind kind) {
    switch (kind) {
    case Kind::Undefined:
        return "Undefined";
    case Kind::None:
        return "NoneType";
    case Kind::Bool:
        return "bool";
    case Kind::Int:
        return "int";
    case Kind::Float:
        return "float";
    case Kind::String:
        return "str";
    case Kind::List:
        return "list";
    case Kind::Tuple:
        return "tuple";
    case Kind::Dict:
        return "dict";
    case Kind::Namespace:
        return "Namespace";
    case Kind::Range:
        return "range";
    case Kind::Generator:
        return "generator";
    case Kind::View:
        return "dict_items";
    case Kind::Loop:
        return "LoopContext";
    case Kind::Macro:
        return "Macro";
    case Kind::Function:
        return "function";
    case Kind::Method:
        return "builtin_function_or_method";
    case Kind::Cycler:
        return "Cycler";
    case Kind::Joiner:
        return "Joiner";
    }
    return "object";
}

/// Of the ends of a long text only: a key of many megabytes is looked up as quickly as a short one.
size_t hashText(std::string_view text) {
    constexpr size_t kEnds = 64;
    const std::hash<std::string_view> hash;
    if (text.size() <= 2 * kEnds) return hash(text);
    return hash(text.substr(0, kEnds)) * 31 + hash(text.substr(text.size() - kEnds)) + text.size();
}

template <class T> int threeWay(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

int compareNumbers(const Value& a, const Value& b) {
    if (isInteger(a) && isInteger(b)) return threeWay(toInteger(a), toInteger(b));
    const double x = toDouble(a), y = toDouble(b);
    if (std::isnan(x) || std::isnan(y)) return 2;
    return threeWay(x, y);
}

bool equalItems(const std::vector<Value>& a, const std::vector<Value>& b, Meter& meter) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (!equals(a[i], b[i], meter)) return false;
    return true;
}

bool equalDicts(const DictObject& a, const DictObject& b, Meter& meter) {
    if (a.size() != b.size()) return false;
    return std::all_of(a.entries().begin(), a.entries().end(), [&](const auto& entry) {
        const Value* other = b.find(entry.first);
        return other && equals(entry.second, *other, meter);
    });
}

bool equalRanges(const RangeObject& a, const RangeObject& b) {
    if (a.size() != b.size()) return false;
    return a.size() == 0 || (a.start == b.start && (a.size() == 1 || a.step == b.step));
}

}  // namespace

Value Value::undefined(Missing why, TextRef text, Kind of) {
    Value out;
    out.kind_ = Kind::Undefined;
    out.missing_ = why;
    out.missingOf_ = of;
    out.text_ = std::move(text);
    return out;
}

std::string Value::undefinedMessage() const {
    switch (missing_) {
    case Missing::Variable:
        return inQuotes(text_->view()) + " is undefined";
    case Missing::Attribute:
        return inQuotes(objectName(missingOf_)) + " has no attribute " + inQuotes(text_->view());
    case Missing::Explained:
        break;
    }
    return text_->bytes();
}

const Value* DictObject::find(std::string_view key) const {
    if (index_.empty()) {
        for (const auto& [name, value] : entries_)
            if (name.is(Kind::String) && name.text().view() == key) return &value;
        return nullptr;
    }
    const auto [from, to] = index_.equal_range(hashText(key));
    for (auto at = from; at != to; ++at) {
        const auto& [name, value] = entries_[at->second];
        if (name.is(Kind::String) && name.text().view() == key) return &value;
    }
    return nullptr;
}

size_t DictObject::positionOf(const Value& key, size_t hash) const {
    // Keys are hashable, so they nest no deeper than tuples do; a meter of its own keeps the lookup pure.
    TemplateBudget budget;
    const auto same = [&](const Value& other) {
        if (key.is(Kind::String) && other.is(Kind::String)) return key.text().view() == other.text().view();
        Meter meter(budget);
        return equals(key, other, meter);
    };
    if (index_.empty()) {
        for (size_t i = 0; i < entries_.size(); ++i)
            if (same(entries_[i].first)) return i;
        return kNowhere;
    }
    const auto [from, to] = index_.equal_range(hash);
    for (auto at = from; at != to; ++at)
        if (same(entries_[at->second].first)) return at->second;
    return kNowhere;
}

const Value* DictObject::find(const Value& key) const {
    const size_t at = positionOf(key, hashOf(key));
    return at == kNowhere ? nullptr : &entries_[at].second;
}

void DictObject::indexAll() {
    index_.clear();
    if (entries_.size() < kIndexFrom) return;
    for (size_t i = 0; i < entries_.size(); ++i)
        index_.emplace(hashOf(entries_[i].first), i);
}

void DictObject::add(Value key, Value value) {
    entries_.emplace_back(std::move(key), std::move(value));
    if (!index_.empty())
        index_.emplace(hashOf(entries_.back().first), entries_.size() - 1);
    else if (entries_.size() >= kIndexFrom)
        indexAll();
}

void DictObject::set(const Value& key, Value value) {
    const size_t at = positionOf(key, hashOf(key));
    if (at != kNowhere)
        entries_[at].second = std::move(value);
    else
        add(key, std::move(value));
}

void DictObject::erase(const Value& key) {
    const size_t at = positionOf(key, hashOf(key));
    if (at == kNowhere) return;
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at));
    indexAll();
}

void DictObject::clear() {
    entries_.clear();
    index_.clear();
}

int64_t RangeObject::size() const {
    // In unsigned arithmetic: start and stop may lie further apart than int64 can say.
    const auto distance = [](int64_t low, int64_t high) {
        return static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
    };
    uint64_t count = 0;
    if (step > 0 && start < stop)
        count = (distance(start, stop) - 1) / static_cast<uint64_t>(step) + 1;
    else if (step < 0 && start > stop)
        count = (distance(stop, start) - 1) / (uint64_t{0} - static_cast<uint64_t>(step)) + 1;
    return static_cast<int64_t>(std::min(count, static_cast<uint64_t>(INT64_MAX)));
}

Value Heap::generator(std::vector<Value> items) {
    grow(items.size());
    auto* object = make<GeneratorObject>();
    object->items = std::move(items);
    return Value(Kind::Generator, object);
}

Value Heap::sequence(Kind kind, std::vector<Value> items) {
    grow(items.size());
    auto* object = make<ListObject>();
    object->items = std::move(items);
    return Value(kind, object);
}

std::string objectName(Kind kind) {
    switch (kind) {
    case Kind::None:
        return "None";
    case Kind::Namespace:
    case Kind::Cycler:
    case Kind::Joiner:
        return "jinja2.utils." + std::string(typeNameOf(kind)) + " object";
    case Kind::Loop:
    case Kind::Macro:
        return "jinja2.runtime." + std::string(typeNameOf(kind)) + " object";
    default:
        return std::string(typeNameOf(kind)) + " object";
    }
}

std::string_view typeName(const Value& value) {
    if (value.is(Kind::View)) {
        switch (value.as<ViewObject>().of) {
        case ViewOf::Keys:
            return "dict_keys";
        case ViewOf::Values:
            return "dict_values";
        case ViewOf::Items:
            return "dict_items";
        }
    }
    return typeNameOf(value.kind());
}

bool truth(const Value& value) {
    switch (value.kind()) {
    case Kind::Undefined:
    case Kind::None:
        return false;
    case Kind::Bool:
        return value.boolean();
    case Kind::Int:
        return value.integer() != 0;
    case Kind::Float:
        return value.number() != 0.0;
    case Kind::String:
        return !value.text().empty();
    case Kind::List:
    case Kind::Tuple:
        return !value.as<ListObject>().items.empty();
    case Kind::Dict:
        return value.as<DictObject>().size() != 0;
    case Kind::View:
        return value.as<ViewObject>().dict->size() != 0;
    case Kind::Range:
        return value.as<RangeObject>().size() != 0;
    default:
        return true;
    }
}

bool isInteger(const Value& value) {
    return value.is(Kind::Int) || value.is(Kind::Bool);
}
bool isNumber(const Value& value) {
    return isInteger(value) || value.is(Kind::Float);
}
int64_t toInteger(const Value& value) {
    return value.is(Kind::Bool) ? (value.boolean() ? 1 : 0) : value.integer();
}
double toDouble(const Value& value) {
    return value.is(Kind::Float) ? value.number() : static_cast<double>(toInteger(value));
}

bool equals(const Value& a, const Value& b, Meter& meter) {
    if (isNumber(a) && isNumber(b)) return compareNumbers(a, b) == 0;
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
    case Kind::Undefined:
    case Kind::None:
        return true;
    case Kind::String:
        if (a.text().size() != b.text().size()) return false;
        meter.step(a.text().size() / 1024);
        return a.text().view() == b.text().view();
    case Kind::Range:
        return equalRanges(a.as<RangeObject>(), b.as<RangeObject>());
    default:
        break;
    }
    if (a.identity() == b.identity()) return true;
    meter.step();
    const Meter::Nesting nesting(meter);
    switch (a.kind()) {
    case Kind::List:
    case Kind::Tuple:
        return equalItems(a.as<ListObject>().items, b.as<ListObject>().items, meter);
    case Kind::Dict:
        return equalDicts(a.as<DictObject>(), b.as<DictObject>(), meter);
    default:
        return false;
    }
}

int compare(const Value& a, const Value& b, std::string_view sign, Meter& meter) {
    if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
    for (const Value* side : {&a, &b})
        if (side->is(Kind::Undefined)) fail(side->undefinedMessage());
    if (a.is(Kind::String) && b.is(Kind::String)) {
        meter.step(std::min(a.text().size(), b.text().size()) / 1024);
        return threeWay(a.text().view(), b.text().view());
    }
    if (a.kind() == b.kind() && (a.is(Kind::List) || a.is(Kind::Tuple))) {
        meter.step();
        const Meter::Nesting nesting(meter);
        const auto &x = a.as<ListObject>().items, &y = b.as<ListObject>().items;
        for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
            if (!equals(x[i], y[i], meter)) return compare(x[i], y[i], sign, meter);
        return threeWay(x.size(), y.size());
    }
    fail("'" + std::string(sign) + "' not supported between instances of '" + std::string(typeName(a)) +
         "' and '" + std::string(typeName(b)) + "'");
}

size_t hashOf(const Value& value) {
    switch (value.kind()) {
    case Kind::Bool:
    case Kind::Int:
        return std::hash<double>{}(static_cast<double>(toInteger(value)));
    case Kind::Float:
        return std::hash<double>{}(value.number());
    case Kind::String:
        return hashText(value.text().view());
    case Kind::Undefined:
    case Kind::None:
        return static_cast<size_t>(value.kind());
    case Kind::Tuple: {
        // Nesting is bounded where tuples are made by syntax; a chain built in a loop is cut off here.
        size_t hash = 1, left = 64;
        const Value* last = &value;
        for (; last->is(Kind::Tuple) && left > 0; --left) {
            const auto& items = last->as<ListObject>().items;
            if (items.empty()) break;
            for (const Value& item : items)
                if (!item.is(Kind::Tuple)) hash = hash * 31 + hashOf(item);
            last = &items.front();
        }
        return hash;
    }
    case Kind::List:
    case Kind::Dict:
        fail("unhashable type: '" + std::string(typeName(value)) + "'");
    default:
        return std::hash<const void*>{}(value.identity());
    }
}

}  // namespace conclave::engine::text::jinja
