#include "engine/text/jinja/json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/base/utf8.h"
#include "engine/text/jinja/repr.h"

namespace conclave::engine::text::jinja {
namespace {

class Writer {
  public:
    Writer(const JsonStyle& style, Meter& meter) : style_(style), meter_(meter) {}

    void value(const Value& value) {
        meter_.step();
        switch (value.kind()) {
        case Kind::None:
            return put("null");
        case Kind::Bool:
            return put(value.boolean() ? "true" : "false");
        case Kind::Int:
            return put(std::to_string(value.integer()));
        case Kind::Float:
            return put(number(value.number()));
        case Kind::String:
            return string(value.text());
        case Kind::List:
        case Kind::Tuple:
            return array(value.as<ListObject>().items);
        case Kind::Generator: {
            auto& generator = value.as<GeneratorObject>();
            array({generator.items.begin() + static_cast<std::ptrdiff_t>(generator.next),
                   generator.items.end()});
            generator.next = generator.items.size();
            return;
        }
        case Kind::Dict:
            return object(value.as<DictObject>());
        default:
            fail("Object of type " + std::string(typeName(value)) + " is not JSON serializable");
        }
    }

    std::string out;
    bool trusted = true;

  private:
    void put(std::string_view text) {
        out.append(text);
        meter_.grown(out.size(), text.size());
    }

    static std::string number(double value) {
        if (std::isnan(value)) return "NaN";
        if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
        return formatFloat(value);
    }

    void newLine() {
        if (!style_.indented) return;
        put("\n");
        for (uint32_t i = 0; i < level_; ++i)
            put(style_.indent);
    }

    void array(const std::vector<Value>& items) {
        if (items.empty()) return put("[]");
        const Meter::Nesting nesting(meter_);
        put("[");
        ++level_;
        for (size_t i = 0; i < items.size(); ++i) {
            if (i > 0) put(style_.itemSeparator);
            newLine();
            value(items[i]);
        }
        --level_;
        newLine();
        put("]");
    }

    void object(const DictObject& dict) {
        if (dict.size() == 0) return put("{}");
        const Meter::Nesting nesting(meter_);
        std::vector<const std::pair<Value, Value>*> entries;
        for (const auto& entry : dict.entries())
            entries.push_back(&entry);
        if (style_.sortKeys)
            std::stable_sort(entries.begin(), entries.end(), [this](const auto* a, const auto* b) {
                return compare(a->first, b->first, "<", meter_) == -1;
            });
        put("{");
        ++level_;
        for (size_t i = 0; i < entries.size(); ++i) {
            if (i > 0) put(style_.itemSeparator);
            newLine();
            key(entries[i]->first);
            put(style_.keySeparator);
            value(entries[i]->second);
        }
        --level_;
        newLine();
        put("}");
    }

    void key(const Value& name) {
        switch (name.kind()) {
        case Kind::String:
            return string(name.text());
        case Kind::None:
        case Kind::Bool:
        case Kind::Int:
        case Kind::Float:
            put("\"");
            value(name);
            return put("\"");
        default:
            fail("keys must be str, int, float, bool or None, not " + std::string(typeName(name)));
        }
    }

    void unicodeEscape(unsigned unit) {
        std::array<char, 8> buffer{};
        const int length = std::snprintf(buffer.data(), buffer.size(), "\\u%04x", unit);
        out.append(buffer.data(), static_cast<size_t>(length));
    }

    void string(const Text& text) {
        trusted = trusted && text.trusted();
        out.push_back('"');
        const std::string_view view = text.view();
        for (size_t at = 0; at < view.size();) {
            const size_t from = at;
            const char32_t c = base::nextCodePoint(view, at);
            switch (c) {
            case '"':
                out.append("\\\"");
                break;
            case '\\':
                out.append("\\\\");
                break;
            case '\n':
                out.append("\\n");
                break;
            case '\r':
                out.append("\\r");
                break;
            case '\t':
                out.append("\\t");
                break;
            case '\f':
                out.append("\\f");
                break;
            case '\b':
                out.append("\\b");
                break;
            default:
                if (c < 0x20 || (c > 0x7E && style_.ensureAscii && c < 0x10000)) {
                    unicodeEscape(static_cast<unsigned>(c));
                } else if (c >= 0x10000 && style_.ensureAscii) {
                    unicodeEscape(static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
                    unicodeEscape(static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
                } else {
                    out.append(view.substr(from, at - from));
                }
            }
        }
        meter_.grown(out.size(), view.size());
        put("\"");
    }

    const JsonStyle& style_;
    Meter& meter_;
    uint32_t level_ = 0;
};

Value stringOf(const std::string& text, bool trusted, Heap& heap) {
    if (!base::isValidUtf8(text))
        throw Failure{base::Code::InvalidUtf8, std::to_string(base::validUtf8Prefix(text)), 0};
    return Value(TextRef(heap.meter(), Text(text, trusted)));
}

}  // namespace

Text toJson(const Value& value, const JsonStyle& style, Meter& meter) {
    Writer writer(style, meter);
    writer.value(value);
    return Text(std::move(writer.out), writer.trusted);
}

Value fromJson(const nlohmann::ordered_json& json, bool trusted, Heap& heap, uint32_t depth) {
    const uint32_t most = heap.meter().budget().depth;
    if (depth > most)
        failBudget("the input is too deeply nested (more than " + std::to_string(most) + " levels)");
    using Type = nlohmann::ordered_json::value_t;
    switch (json.type()) {
    case Type::boolean:
        return Value(json.get<bool>());
    case Type::number_integer:
        return Value(json.get<int64_t>());
    case Type::number_unsigned: {
        // Above int64 JSON's integers become floats, as they do above uint64 already.
        const auto value = json.get<uint64_t>();
        if (value > static_cast<uint64_t>(INT64_MAX)) return Value(static_cast<double>(value));
        return Value(static_cast<int64_t>(value));
    }
    case Type::number_float:
        return Value(json.get<double>());
    case Type::string:
        return stringOf(json.get_ref<const std::string&>(), trusted, heap);
    case Type::array: {
        auto* list = heap.make<ListObject>();
        list->items.reserve(json.size());
        for (const auto& item : json)
            list->items.push_back(fromJson(item, trusted, heap, depth + 1));
        return Value(Kind::List, list);
    }
    case Type::object: {
        auto* dict = heap.make<DictObject>();
        for (const auto& [key, item] : json.items())
            dict->add(stringOf(key, trusted, heap), fromJson(item, trusted, heap, depth + 1));
        return Value(Kind::Dict, dict);
    }
    default:
        return Value();
    }
}

}  // namespace conclave::engine::text::jinja
