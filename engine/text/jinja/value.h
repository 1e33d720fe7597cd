#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/text/jinja/meter.h"
#include "engine/text/jinja/text.h"

namespace conclave::engine::text::jinja {

enum class Kind : uint8_t {
    Undefined,
    None,
    Bool,
    Int,
    Float,
    String,
    List,
    Tuple,
    Dict,
    Namespace,
    Range,
    Generator,  ///< what filters such as map and select return: can be walked once
    View,       ///< dict.keys(), .values(), .items()
    Loop,
    Macro,
    Function,
    Method,
    Cycler,
    Joiner,
};

/// Things with an identity. They belong to the Heap of a rendering, so that values may form cycles.
struct Object {
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;
};

/// A value of the template language, with Python's semantics. Integers have 64 bits: what does not fit is an
/// error.
class Value {
  public:
    Value() = default;  ///< none
    explicit Value(bool value) : kind_(Kind::Bool) { plain_.boolean = value; }
    explicit Value(int64_t value) : kind_(Kind::Int) { plain_.integer = value; }
    explicit Value(double value) : kind_(Kind::Float) { plain_.number = value; }
    explicit Value(TextRef text) : kind_(Kind::String), text_(std::move(text)) {}
    Value(Kind kind, Object* object) : kind_(kind) { plain_.object = object; }

    static Value undefinedVariable(TextRef name) {
        return undefined(Missing::Variable, std::move(name), Kind::None);
    }
    static Value undefinedAttribute(Kind of, TextRef name) {
        return undefined(Missing::Attribute, std::move(name), of);
    }
    static Value undefinedBecause(TextRef message) {
        return undefined(Missing::Explained, std::move(message), Kind::None);
    }

    Kind kind() const { return kind_; }
    bool is(Kind kind) const { return kind_ == kind; }
    bool boolean() const { return plain_.boolean; }
    int64_t integer() const { return plain_.integer; }
    double number() const { return plain_.number; }
    const Text& text() const { return *text_; }
    const TextRef& textRef() const { return text_; }
    template <class T> T& as() const { return static_cast<T&>(*plain_.object); }
    const Object* identity() const { return plain_.object; }

    /// Jinja's sentence about an undefined value.
    std::string undefinedMessage() const;

  private:
    enum class Missing : uint8_t { Variable, Attribute, Explained };
    static Value undefined(Missing why, TextRef text, Kind of);

    Kind kind_ = Kind::None;
    Missing missing_ = Missing::Variable;
    Kind missingOf_ = Kind::None;
    union {
        bool boolean;
        int64_t integer;
        double number;
        Object* object;
    } plain_{.integer = 0};
    TextRef text_;
};

struct ListObject : Object {
    std::vector<Value> items;
    bool group = false;  ///< a tuple made by groupby, with .grouper and .list
};

/// Insertion-ordered, as Python's.
class DictObject : public Object {
  public:
    const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
    size_t size() const { return entries_.size(); }
    const Value* find(std::string_view key) const;
    /// The key must be hashable (a Failure otherwise).
    const Value* find(const Value& key) const;
    void set(const Value& key, Value value);
    void erase(const Value& key);
    void clear();
    /// For keys that are known to be new.
    void add(Value key, Value value);

  private:
    size_t positionOf(const Value& key, size_t hash) const;
    void indexAll();

    std::vector<std::pair<Value, Value>> entries_;
    std::unordered_multimap<size_t, size_t> index_;  // hash -> position, once there are many entries
};

struct RangeObject : Object {
    int64_t start = 0, stop = 0, step = 1;
    int64_t size() const;
    int64_t at(int64_t index) const { return start + index * step; }
};

struct GeneratorObject : Object {
    std::vector<Value> items;
    size_t next = 0;
};

enum class ViewOf : uint8_t { Keys, Values, Items };
struct ViewObject : Object {
    DictObject* dict = nullptr;
    ViewOf of = ViewOf::Keys;
};

struct CyclerObject : Object {
    std::vector<Value> items;
    size_t at = 0;
};

struct JoinerObject : Object {
    TextRef separator;
    bool used = false;
};

/// Owns the objects of one rendering and frees them together.
class Heap {
  public:
    explicit Heap(Meter& meter) : meter_(meter) {}

    template <class T> T* make() {
        meter_.hold(sizeof(T) + sizeof(void*));
        auto object = std::make_unique<T>();
        T* raw = object.get();
        objects_.push_back(std::move(object));
        return raw;
    }
    Value string(Text text) {
        meter_.text(text.size());
        return Value(TextRef(meter_, std::move(text)));
    }
    Value string(std::string bytes, bool trusted) { return string(Text(std::move(bytes), trusted)); }
    Value list(std::vector<Value> items) { return sequence(Kind::List, std::move(items)); }
    Value tuple(std::vector<Value> items) { return sequence(Kind::Tuple, std::move(items)); }
    Value generator(std::vector<Value> items);
    Value undefined(std::string message) {
        return Value::undefinedBecause(TextRef(meter_, Text(std::move(message), false)));
    }
    /// Room for items that were or will be added to a list or dict.
    void grow(size_t items) {
        meter_.items(items);
        meter_.hold(items * sizeof(Value));
    }
    Meter& meter() { return meter_; }

  private:
    Value sequence(Kind kind, std::vector<Value> items);

    Meter& meter_;
    std::vector<std::unique_ptr<Object>> objects_;
};

/// How Jinja names an object in "… has no attribute …".
std::string objectName(Kind kind);
/// Python's name of the type, as its errors say it: str, NoneType, list …
std::string_view typeName(const Value& value);
bool truth(const Value& value);
/// Python's ==. The meter bounds the nesting.
bool equals(const Value& a, const Value& b, Meter& meter);
/// Python's ordering; < 0, 0, > 0, or 2 where a NaN makes all comparisons false. `sign` is for the error's
/// sentence.
int compare(const Value& a, const Value& b, std::string_view sign, Meter& meter);
/// A Failure for lists and dicts.
size_t hashOf(const Value& value);
/// Bool, Int or Float.
bool isNumber(const Value& value);
double toDouble(const Value& value);
/// Bool or Int; Python's bool is an int.
bool isInteger(const Value& value);
int64_t toInteger(const Value& value);

}  // namespace conclave::engine::text::jinja
