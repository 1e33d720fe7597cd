#include <limits>
#include <type_traits>

#include "engine/formats/gguf.h"
#include "engine/formats/gguf_types.h"
#include "engine/formats/printable.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr std::string_view kTypeNames[kGgufTypes] = {"u8",   "i8",   "u16",   "i16", "u32", "i32", "f32",
                                                     "bool", "text", "array", "u64", "i64", "f64"};

template <class T> constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

Error missing(const std::string& file, std::string_view key) {
    return {Code::MissingKey, file, "metadata key " + printable(key), {}};
}

Error wrongType(const std::string& file, std::string_view key, const GgufValue& value, const char* needed) {
    return {Code::WrongType, file, "metadata key " + printable(key), {typeName(value), needed}};
}

Error outOfRange(const std::string& file, std::string_view key, std::string value, const char* rule) {
    return {Code::ValueOutOfRange, file, "metadata key " + printable(key), {std::move(value), rule}};
}

/// True where an integer of any width has a value of To.
template <class To, class From> bool fits(From value) {
    if constexpr (std::is_signed_v<From> == std::is_signed_v<To>)
        return value >= std::numeric_limits<To>::min() && value <= std::numeric_limits<To>::max();
    else if constexpr (std::is_signed_v<From>)
        return value >= 0 && static_cast<std::make_unsigned_t<From>>(value) <= std::numeric_limits<To>::max();
    else
        return value <= static_cast<std::make_unsigned_t<To>>(std::numeric_limits<To>::max());
}

template <class To>
Result<To> integerOf(const std::string& file, std::string_view key, const GgufValue& value) {
    const auto* scalar = std::get_if<GgufScalar>(&value);
    if (!scalar) return wrongType(file, key, value, "a whole number");
    return std::visit(
        [&](const auto& held) -> Result<To> {
            using From = std::decay_t<decltype(held)>;
            if constexpr (!kIsInteger<From>)
                return wrongType(file, key, value, "a whole number");
            else if (!fits<To>(held))
                return outOfRange(file, key, std::to_string(held),
                                  "a whole number of at least 0 and below 2^63");
            else
                return static_cast<To>(held);
        },
        *scalar);
}

template <class T> const T* scalarOf(const GgufValue& value) {
    const auto* scalar = std::get_if<GgufScalar>(&value);
    return scalar ? std::get_if<T>(scalar) : nullptr;
}

}  // namespace

std::string_view ggufTypeName(uint32_t type) {
    return kTypeNames[type];
}

std::string typeName(const GgufValue& value) {
    if (const auto* scalar = std::get_if<GgufScalar>(&value))
        return std::string(ggufTypeName(ggufTypeOf(scalar->index())));
    return "an array of " + std::string(ggufTypeName(ggufTypeOf(std::get<GgufArray>(value).index())));
}

Result<std::string> GgufFile::text(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    if (const auto* value = scalarOf<std::string>(found->second)) return *value;
    return wrongType(path_, key, found->second, "text");
}

Result<uint64_t> GgufFile::unsignedInt(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    return integerOf<uint64_t>(path_, key, found->second);
}

Result<int64_t> GgufFile::signedInt(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    return integerOf<int64_t>(path_, key, found->second);
}

Result<double> GgufFile::number(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    if (const auto* value = scalarOf<float>(found->second)) return static_cast<double>(*value);
    if (const auto* value = scalarOf<double>(found->second)) return *value;
    const auto* scalar = std::get_if<GgufScalar>(&found->second);
    if (!scalar) return wrongType(path_, key, found->second, "a number");
    return std::visit(
        [&](const auto& held) -> Result<double> {
            if constexpr (kIsInteger<std::decay_t<decltype(held)>>)
                return static_cast<double>(held);
            else
                return wrongType(path_, key, found->second, "a number");
        },
        *scalar);
}

Result<bool> GgufFile::boolean(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    if (const auto* value = scalarOf<bool>(found->second)) return *value;
    return wrongType(path_, key, found->second, "bool");
}

Result<std::string> GgufFile::text(std::string_view key, std::string otherwise) const {
    return has(key) ? text(key) : Result<std::string>(std::move(otherwise));
}

Result<uint64_t> GgufFile::unsignedInt(std::string_view key, uint64_t otherwise) const {
    return has(key) ? unsignedInt(key) : Result<uint64_t>(otherwise);
}

Result<double> GgufFile::number(std::string_view key, double otherwise) const {
    return has(key) ? number(key) : Result<double>(otherwise);
}

Result<bool> GgufFile::boolean(std::string_view key, bool otherwise) const {
    return has(key) ? boolean(key) : Result<bool>(otherwise);
}

Result<const TextList*> GgufFile::texts(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    if (const auto* array = std::get_if<GgufArray>(&found->second))
        if (const auto* values = std::get_if<TextList>(array)) return values;
    return wrongType(path_, key, found->second, "an array of text");
}

Result<std::vector<float>> GgufFile::floats(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    if (const auto* array = std::get_if<GgufArray>(&found->second)) {
        if (const auto* values = std::get_if<std::vector<float>>(array)) return *values;
        if (const auto* values = std::get_if<std::vector<double>>(array)) {
            std::vector<float> narrowed;
            narrowed.reserve(values->size());
            for (const double value : *values)
                narrowed.push_back(static_cast<float>(value));
            return narrowed;
        }
    }
    return wrongType(path_, key, found->second, "an array of f32");
}

Result<std::vector<int64_t>> GgufFile::integers(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return missing(path_, key);
    const auto* array = std::get_if<GgufArray>(&found->second);
    if (!array) return wrongType(path_, key, found->second, "an array of whole numbers");
    return std::visit(
        [&](const auto& values) -> Result<std::vector<int64_t>> {
            using Element = typename std::decay_t<decltype(values)>::value_type;
            if constexpr (!kIsInteger<Element>) {
                return wrongType(path_, key, found->second, "an array of whole numbers");
            } else {
                std::vector<int64_t> out;
                out.reserve(values.size());
                for (const Element value : values) {
                    if (!fits<int64_t>(value))
                        return outOfRange(path_, key, std::to_string(value), "whole numbers below 2^63");
                    out.push_back(static_cast<int64_t>(value));
                }
                return out;
            }
        },
        *array);
}

}  // namespace conclave::engine::formats
