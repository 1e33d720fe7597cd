#include "engine/text/jinja/input.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/text/jinja/json.h"

namespace conclave::engine::text::jinja {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kTrustedVariables = {"bos_token", "eos_token", "unk_token",
                                                               "pad_token"};
constexpr std::array<std::string_view, 10> kRoles = {"system",       "user",       "assistant", "tool",
                                                     "developer",    "function",   "ipython",   "model",
                                                     "tool_results", "observation"};

template <size_t kCount>
bool isOneOf(std::string_view text, const std::array<std::string_view, kCount>& known) {
    return std::find(known.begin(), known.end(), text) != known.end();
}

class Reader {
  public:
    Reader(Heap& heap, ArgumentStyle style) : heap_(heap), style_(style) {}

    Value messages(const Json& json) const { return list(json, &Reader::message); }

  private:
    using Read = Value (Reader::*)(const Json&) const;
    using ReadMember = Value (Reader::*)(std::string_view, const Json&) const;

    Value plain(const Json& json) const { return fromJson(json, false, heap_, kLevels); }

    /// An array whose items are read by `read`; anything else as it is.
    Value list(const Json& json, Read read) const {
        if (!json.is_array()) return plain(json);
        auto* out = heap_.make<ListObject>();
        for (const Json& item : json)
            out->items.push_back((this->*read)(item));
        return Value(Kind::List, out);
    }

    Value object(const Json& json, ReadMember read) const {
        if (!json.is_object()) return plain(json);
        auto* out = heap_.make<DictObject>();
        for (const auto& [key, item] : json.items())
            out->add(plain(key), (this->*read)(key, item));
        return Value(Kind::Dict, out);
    }

    Value message(const Json& json) const { return object(json, &Reader::messageMember); }
    Value messageMember(std::string_view key, const Json& json) const {
        if (key == "role" && json.is_string() && isOneOf(json.get_ref<const std::string&>(), kRoles))
            return fromJson(json, true, heap_);
        return key == "tool_calls" ? list(json, &Reader::toolCall) : plain(json);
    }

    Value toolCall(const Json& json) const { return object(json, &Reader::toolCallMember); }
    Value toolCallMember(std::string_view key, const Json& json) const {
        if (key == "function") return object(json, &Reader::toolCallMember);
        return key == "arguments" ? arguments(json) : plain(json);
    }

    Value arguments(const Json& json) const {
        if (style_ == ArgumentStyle::Text && json.is_object())
            return Value(TextRef(heap_.meter(), toJson(plain(json), JsonStyle(), heap_.meter())));
        if (style_ != ArgumentStyle::Object || !json.is_string()) return plain(json);
        const auto& text = json.get_ref<const std::string&>();
        if (text.find_first_not_of(" \t\r\n") == std::string::npos) return plain(Json::object());
        // What is no JSON object is what the model said; it stays a text.
        const Json parsed = Json::parse(text, nullptr, false);
        return plain(parsed.is_object() ? parsed : json);
    }

    static constexpr uint32_t kLevels = 5;  // messages, message, tool_calls, call, function

    Heap& heap_;
    ArgumentStyle style_;
};

}  // namespace

bool hasToolArguments(const Json& input) {
    const auto messages = input.find("messages");
    if (messages == input.end() || !messages->is_array()) return false;
    return std::any_of(messages->begin(), messages->end(), [](const Json& message) {
        return message.is_object() && message.contains("tool_calls");
    });
}

void defineInput(Interpreter& in, const Json& input, ArgumentStyle style) {
    const Reader reader(in.heap(), style);
    for (const auto& [name, value] : input.items()) {
        if (!in.mentions(name)) continue;
        in.define(name, name == "messages" ? reader.messages(value)
                                           : fromJson(value, isOneOf(name, kTrustedVariables), in.heap()));
    }
}

}  // namespace conclave::engine::text::jinja
