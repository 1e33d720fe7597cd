#include "engine/protocol/fields.h"

#include <algorithm>
#include <cmath>

#include "engine/base/utf8.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

std::string plain(double value) {
    std::string text = Json(value).dump();
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

/// A number without a fractional part as int64; empty where it is none or does not fit.
std::optional<int64_t> wholeNumber(const Json& value) {
    if (value.is_number_unsigned()) {
        const uint64_t number = value.get<uint64_t>();
        if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
        return static_cast<int64_t>(number);
    }
    if (value.is_number_integer()) return value.get<int64_t>();
    if (!value.is_number_float()) return std::nullopt;
    const double number = value.get<double>();
    if (!(std::fabs(number) < 9007199254740992.0) || number != std::floor(number))  // 2^53: exact below
        return std::nullopt;
    return static_cast<int64_t>(number);
}

}  // namespace

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

const Json* Fields::find(std::string_view name) const {
    const auto at = object_.find(name);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
}

std::optional<double> Fields::number(std::string_view name, double least, double most) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const double number = value->is_number() ? value->get<double>() : std::nan("");
    if (!(number >= least && number <= most)) {
        refuse(name, "a number from " + plain(least) + " to " + plain(most));
        return std::nullopt;
    }
    return number;
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t least, int64_t most,
                                       std::string_view says) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const std::optional<int64_t> number = wholeNumber(*value);
    if (!number || *number < least || *number > most) {
        refuse(name, !says.empty()
                         ? std::string(says)
                         : "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        return std::nullopt;
    }
    return number;
}

std::optional<bool> Fields::boolean(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) {
        refuse(name, "true or false");
        return std::nullopt;
    }
    return value->get<bool>();
}

std::optional<std::string> Fields::text(std::string_view name, Empty empty) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string() || (empty == Empty::Refused && value->get_ref<const std::string&>().empty())) {
        refuse(name, empty == Empty::Refused ? "a string that is not empty" : "a string");
        return std::nullopt;
    }
    return value->get<std::string>();
}

const Json* Fields::object(std::string_view name) {
    const Json* value = find(name);
    if (value != nullptr && !value->is_object()) {
        refuse(name, "an object");
        return nullptr;
    }
    return value;
}

const Json* Fields::array(std::string_view name) {
    const Json* value = find(name);
    if (value != nullptr && !value->is_array()) {
        refuse(name, "an array");
        return nullptr;
    }
    return value;
}

void Fields::refuse(std::string_view name, std::string must) {
    const Json* value = find(name);
    refuseAt(pathOf(name), value == nullptr ? Json(nullptr) : *value, std::move(must));
}

void Fields::refuseAt(std::string path, const Json& value, std::string must) {
    fail({Code::OutOfRange, {}, std::move(path), {shown(value), std::move(must)}});
}

void Fields::require(std::string_view name, const std::string& must) {
    if (!has(name)) fail({Code::BadArgument, {}, pathOf(name), {"is missing; it must be " + must}});
}

void Fields::refuseOthers(std::span<const std::string_view> known) {
    for (const auto& [name, value] : object_.items()) {
        if (std::ranges::find(known, name) != known.end()) continue;
        std::string names;
        for (const std::string_view one : known)
            names.append(names.empty() ? "" : ", ").append(one);
        fail({Code::UnknownField, {}, pathOf(name), {std::move(names)}});
    }
}

void Fields::fail(base::Error error) {
    if (!error_) error_ = std::move(error);
}

std::string shown(const Json& value) {
    constexpr size_t kMost = 60;
    if (value.is_string() && value.get_ref<const std::string&>().size() > kMost) {
        const std::string& whole = value.get_ref<const std::string&>();
        const std::string head =
            whole.substr(0, base::completeUtf8Prefix(std::string_view(whole).substr(0, kMost)));
        return dump(Json(head)) + "…";
    }
    if (value.is_structured() && value.size() > 8)
        return value.is_array() ? "an array of " + std::to_string(value.size()) : "an object";
    std::string text = dump(value);
    if (text.size() > kMost)
        text = text.substr(0, base::completeUtf8Prefix(std::string_view(text).substr(0, kMost))) + "…";
    return text;
}

base::Result<Json> parseBody(std::string_view body) {
    CONCLAVE_TRY(Json json, parseJson(body));
    if (!json.is_object())
        return Error{Code::BadArgument, {}, "body", {"is " + shown(json) + "; it must be a JSON object"}};
    return json;
}

}  // namespace conclave::engine::protocol
