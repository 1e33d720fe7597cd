#include "engine/formats/json_fields.h"

#include <cmath>
#include <utility>

namespace conclave::engine::formats {

using base::Code;
using base::Error;
using base::Result;
using nlohmann::json;

namespace {

Error valueOutOfRange(const std::string& file, const std::string& field, const std::string& value,
                      const std::string& range) {
    return {Code::ValueOutOfRange, file, field, {value, range}};
}

}  // namespace

const json* JsonFields::find(const char* key) const {
    const auto at = object_.find(key);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
}

bool JsonFields::has(const char* key) const {
    return find(key) != nullptr;
}

Result<uint32_t> JsonFields::count(const char* key, uint32_t most) const {
    const json* value = find(key);
    if (value == nullptr) return missing(key);
    CONCLAVE_TRY(const uint32_t number, count(key, most, 0));
    if (number == 0) return valueOutOfRange(file_, name(key), "0", "1 to " + std::to_string(most));
    return number;
}

Result<uint32_t> JsonFields::count(const char* key, uint32_t most, uint32_t otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number_integer()) return wrongType(key, "a whole number");
    const bool inside = value->is_number_unsigned() && value->get<uint64_t>() <= most;
    if (!inside) return valueOutOfRange(file_, name(key), value->dump(), "0 to " + std::to_string(most));
    return static_cast<uint32_t>(value->get<uint64_t>());
}

Result<double> JsonFields::number(const char* key) const {
    if (!has(key)) return missing(key);
    return number(key, 0);
}

Result<double> JsonFields::number(const char* key, double otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number()) return wrongType(key, "a number");
    const double number = value->get<double>();
    if (!std::isfinite(number)) return valueOutOfRange(file_, name(key), value->dump(), "a finite number");
    return number;
}

Result<bool> JsonFields::flag(const char* key, bool otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) return wrongType(key, "true or false");
    return value->get<bool>();
}

Result<std::string> JsonFields::text(const char* key) const {
    if (!has(key)) return missing(key);
    return text(key, "");
}

Result<std::string> JsonFields::text(const char* key, std::string otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) return wrongType(key, "text");
    return value->get<std::string>();
}

Result<const json*> JsonFields::object(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return missing(key);
    if (!value->is_object()) return wrongType(key, "an object");
    return value;
}

Result<const json*> JsonFields::array(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return missing(key);
    if (!value->is_array()) return wrongType(key, "a list");
    return value;
}

Error JsonFields::wrongType(const char* key, const char* needed) const {
    const json* value = find(key);
    return {Code::WrongType, file_, name(key), {value ? value->type_name() : "null", needed}};
}

Error JsonFields::missing(const char* key) const {
    return {Code::MissingKey, file_, name(key), {}};
}

Error JsonFields::unsupported(const char* key, const std::string& what, const std::string& help) const {
    return {Code::UnsupportedOption, file_, name(key), {what, help}};
}

}  // namespace conclave::engine::formats
