#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace conclave::engine::formats {

/// Little-endian bytes of a number.
template <class T> std::string raw(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

inline std::string rawText(const std::string& text) {
    return raw(uint64_t{text.size()}) + text;
}

inline std::span<const std::byte> asBytes(const std::string& text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// The bytes of a GGUF file, right or wrong: counts, offsets and sizes are what the test says. Independent of
/// the writer under test.
struct GgufBuilder {
    uint32_t version = 3;
    std::optional<uint64_t> tensorCount, keyCount;  ///< other than what was added
    uint64_t alignment = 32;
    std::string keys, tensors, data;
    uint64_t addedKeys = 0, addedTensors = 0;

    GgufBuilder& key(const std::string& name, uint32_t type, const std::string& bytes) {
        keys += rawText(name) + raw(type) + bytes;
        ++addedKeys;
        return *this;
    }
    GgufBuilder& text(const std::string& name, const std::string& value) {
        return key(name, 8, rawText(value));
    }
    GgufBuilder& u32(const std::string& name, uint32_t value) { return key(name, 4, raw(value)); }
    GgufBuilder& array(const std::string& name, uint32_t type, uint64_t count, const std::string& elements) {
        return key(name, 9, raw(type) + raw(count) + elements);
    }

    /// dims innermost first, as in the file.
    GgufBuilder& tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                        uint64_t offset) {
        tensors += rawText(name) + raw(static_cast<uint32_t>(dims.size()));
        for (const uint64_t dim : dims)
            tensors += raw(dim);
        tensors += raw(type) + raw(offset);
        ++addedTensors;
        return *this;
    }
    /// A tensor with its bytes, behind the ones before.
    GgufBuilder& tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                        const std::string& bytes) {
        tensor(name, dims, type, uint64_t{data.size()});
        data += bytes;
        data.resize((data.size() + alignment - 1) / alignment * alignment);
        return *this;
    }

    std::string header() const {
        return "GGUF" + raw(version) + raw(tensorCount.value_or(addedTensors)) +
               raw(keyCount.value_or(addedKeys)) + keys + tensors;
    }
    std::string build() const {
        std::string bytes = header();
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
        return bytes + data;
    }
};

/// Some of everything: every type of value, arrays, three tensors of three formats.
inline GgufBuilder smallGguf() {
    GgufBuilder file;
    file.text("general.architecture", "llama").text("general.name", "small");
    file.key("a.u8", 0, raw(uint8_t{200}))
        .key("a.i8", 1, raw(int8_t{-5}))
        .key("a.u16", 2, raw(uint16_t{60000}));
    file.key("a.i16", 3, raw(int16_t{-300})).u32("a.u32", 4000000000u).key("a.i32", 5, raw(int32_t{-70000}));
    file.key("a.f32", 6, raw(0.5f))
        .key("a.bool", 7, raw(uint8_t{1}))
        .key("a.u64", 10, raw(uint64_t{1} << 63));
    file.key("a.i64", 11, raw(int64_t{-1} << 40)).key("a.f64", 12, raw(0.1));
    file.array("l.texts", 8, 3, rawText("a") + rawText("") + rawText("\xE4\xBD\xA0"));
    file.array("l.floats", 6, 2, raw(1.5f) + raw(-2.0f))
        .array("l.ints", 5, 2, raw(int32_t{7}) + raw(int32_t{-7}));
    file.array("l.bools", 7, 3, std::string("\1\0\1", 3)).array("l.none", 4, 0, "");
    file.tensor("norm.weight", {8}, 0, std::string(32, '\1'));
    file.tensor("blk.0.w.weight", {32, 2}, 8, std::string(68, '\2'));
    file.tensor("blk.0.experts.weight", {16, 2, 3}, 1, std::string(192, '\3'));
    return file;
}

}  // namespace conclave::engine::formats
