#include "engine/formats/gguf_parser.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/base/utf8.h"
#include "engine/formats/gguf_types.h"
#include "engine/formats/printable.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr uint64_t kMostStringBytes = uint64_t{16} << 20;
constexpr uint64_t kMostNameBytes = 65535;
constexpr uint64_t kMostArrayValues = uint64_t{64} << 20;
constexpr uint64_t kMostTensors = uint64_t{1} << 20;
constexpr uint64_t kLeastAlignment = 8, kMostAlignment = uint64_t{1} << 20;
constexpr uint32_t kMostDimensions = 4;
// The least bytes that a metadata entry (length, type, one byte of value) and a tensor's entry take.
constexpr uint64_t kLeastKeyBytes = 8 + 4 + 1, kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;
// What a map's node and a text take beside their bytes. In a list a text takes less, but lists become tables.
constexpr uint64_t kNodeBytes = 128, kTextBytes = sizeof(std::string);

struct Conversion {
    std::string_view prefix;  ///< of the names of ggml types
    std::string_view better;
};

// What to convert to instead, for the types that are not read.
constexpr Conversion kConversions[] = {
    {"IQ1", "Q2_K"},     {"IQ2", "Q2_K"},   {"IQ3", "Q3_K_M"},     {"TQ", "Q4_K_M"}, {"Q1_", "Q2_K"},
    {"NVFP4", "Q4_K_M"}, {"Q4_0_", "Q4_0"}, {"IQ4_NL_", "IQ4_NL"}, {"Q8_", "Q8_0"},  {"Q4_", "Q4_K_M"},
};

std::string conversionFor(std::string_view type) {
    for (const Conversion& row : kConversions)
        if (type.substr(0, row.prefix.size()) == row.prefix)
            return "convert the original model to " + std::string(row.better) +
                   " (llama-quantize ORIGINAL.gguf OUT.gguf " + std::string(row.better) +
                   "), or download it in that format";
    return "convert the original model again with F32, F16, BF16 or Q8_0 weights (conclave import)";
}

uint64_t alignUp(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

}  // namespace

Error GgufParser::truncated(uint64_t needed) const {
    return {Code::FileTruncated,
            name_,
            field_,
            {std::to_string(needed) + " bytes are needed at byte " + std::to_string(at_) + ", " +
             std::to_string(left()) + " are left"}};
}

Error GgufParser::malformed(std::string what) const {
    return {Code::MalformedFile, name_, field_, {std::move(what)}};
}

Error GgufParser::tooMuchMetadata() const {
    return {Code::LimitExceeded,
            name_,
            "memory for metadata",
            {std::to_string(spent_), std::to_string(kMostMetadataBytes)}};
}

template <class T> Result<T> GgufParser::read() {
    if (left() < sizeof(T)) return truncated(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
}

Result<std::string_view> GgufParser::readText(uint64_t limit) {
    CONCLAVE_TRY(const uint64_t length, read<uint64_t>());
    if (length > left()) return truncated(length);
    if (length > limit)
        return Error{Code::LimitExceeded,
                     name_,
                     "length of a text in " + field_,
                     {std::to_string(length), std::to_string(limit)}};
    if (!spend(kTextBytes + length)) return tooMuchMetadata();
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), length);
    at_ += length;
    return text;
}

/// A key or a tensor's name: it stands in messages and is compared with names of ours.
Result<std::string> GgufParser::readName(const char* what) {
    CONCLAVE_TRY(const std::string_view text, readText(kMostNameBytes));
    std::string name(text);
    field_ = std::string(what) + " " + printable(name);
    if (name.empty() || name.find('\0') != std::string::npos || !base::isValidUtf8(name))
        return malformed("a name must be UTF-8 text that is not empty and has no NUL byte");
    return name;
}

template <class T> Result<GgufValue> GgufParser::readNumbers(uint64_t count) {
    if (count > left() / sizeof(T))
        return truncated(count > std::numeric_limits<uint64_t>::max() / sizeof(T) ? count
                                                                                  : count * sizeof(T));
    if (!spend(count * sizeof(T))) return tooMuchMetadata();
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return GgufValue(GgufArray(std::move(values)));
}

/// About how many bytes the next texts have together. Nothing is promised: whoever reads them looks again.
uint64_t GgufParser::bytesOfTexts(uint64_t count) const {
    uint64_t bytes = 0, length = 0;
    for (size_t at = at_; count > 0 && bytes_.size() - at >= sizeof length; --count) {
        std::memcpy(&length, bytes_.data() + at, sizeof length);
        at += sizeof length;
        if (length > bytes_.size() - at) break;
        at += length;
        bytes += length;
    }
    return bytes;
}

Result<GgufValue> GgufParser::readTexts(uint64_t count) {
    TextList values;
    const uint64_t budget = kMostMetadataBytes - spent_;
    values.reserve(std::min(count, budget / kTextBytes), std::min(bytesOfTexts(count), budget));
    for (uint64_t i = 0; i < count; ++i) {
        CONCLAVE_TRY(const std::string_view text, readText(kMostStringBytes));
        values.push_back(text);
    }
    return GgufValue(GgufArray(std::move(values)));
}

Result<GgufValue> GgufParser::readArray() {
    CONCLAVE_TRY(const uint32_t type, read<uint32_t>());
    CONCLAVE_TRY(const uint64_t count, read<uint64_t>());
    if (type == kGgufArray)
        return Error{Code::WrongType, name_, field_, {"an array of arrays", "an array of plain values"}};
    if (type >= kGgufTypes) return malformed("its elements have the unknown type " + std::to_string(type));
    if (count > kMostArrayValues && count <= left())
        return Error{Code::LimitExceeded,
                     name_,
                     "elements of " + field_,
                     {std::to_string(count), std::to_string(kMostArrayValues)}};
    switch (type) {
    case 0:
        return readNumbers<uint8_t>(count);
    case 1:
        return readNumbers<int8_t>(count);
    case 2:
        return readNumbers<uint16_t>(count);
    case 3:
        return readNumbers<int16_t>(count);
    case 4:
        return readNumbers<uint32_t>(count);
    case 5:
        return readNumbers<int32_t>(count);
    case 6:
        return readNumbers<float>(count);
    case 10:
        return readNumbers<uint64_t>(count);
    case 11:
        return readNumbers<int64_t>(count);
    case 12:
        return readNumbers<double>(count);
    default:
        break;
    }
    // Truth values and texts, one by one. A text takes at least the eight bytes of its length.
    const uint64_t least = type == kGgufString ? 8 : 1;
    if (count > left() / least)
        return truncated(count > std::numeric_limits<uint64_t>::max() / least ? count : count * least);
    if (type == kGgufString) return readTexts(count);
    if (!spend(count)) return tooMuchMetadata();
    std::vector<bool> values(count);
    for (uint64_t i = 0; i < count; ++i) {
        const auto byte = static_cast<uint8_t>(bytes_[at_++]);
        if (byte > 1) return malformed("a truth value is " + std::to_string(byte) + " and not 0 or 1");
        values[i] = byte == 1;
    }
    return GgufValue(GgufArray(std::move(values)));
}

Result<GgufValue> GgufParser::readScalar(uint32_t type) {
    const auto number = [&](auto example) -> Result<GgufValue> {
        CONCLAVE_TRY(const auto value, read<decltype(example)>());
        return GgufValue(GgufScalar(value));
    };
    switch (type) {
    case 0:
        return number(uint8_t{});
    case 1:
        return number(int8_t{});
    case 2:
        return number(uint16_t{});
    case 3:
        return number(int16_t{});
    case 4:
        return number(uint32_t{});
    case 5:
        return number(int32_t{});
    case 6:
        return number(float{});
    case 7: {
        CONCLAVE_TRY(const uint8_t byte, read<uint8_t>());
        if (byte > 1) return malformed("a truth value is " + std::to_string(byte) + " and not 0 or 1");
        return GgufValue(GgufScalar(byte == 1));
    }
    case kGgufString: {
        CONCLAVE_TRY(const std::string_view text, readText(kMostStringBytes));
        return GgufValue(GgufScalar(std::string(text)));
    }
    case kGgufArray:
        return readArray();
    case 10:
        return number(uint64_t{});
    case 11:
        return number(int64_t{});
    case 12:
        return number(double{});
    default:
        return malformed("has the unknown type " + std::to_string(type));
    }
}

Result<void> GgufParser::readHeader() {
    static constexpr std::byte kMagic[] = {std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}};
    if (!std::equal(bytes_.begin(),
                    bytes_.begin() + static_cast<ptrdiff_t>(std::min(bytes_.size(), sizeof kMagic)), kMagic))
        return Error{Code::NotGguf, name_, "", {}};
    CONCLAVE_TRY(const uint32_t magic, read<uint32_t>());
    static_cast<void>(magic);
    CONCLAVE_TRY(file_.version_, read<uint32_t>());
    if ((file_.version_ & 0xffff) == 0 && file_.version_ != 0)
        return Error{Code::GgufVersion,
                     name_,
                     "",
                     {std::to_string(__builtin_bswap32(file_.version_)) + " in big-endian form"}};
    if (file_.version_ != 2 && file_.version_ != 3)
        return Error{Code::GgufVersion, name_, "", {std::to_string(file_.version_)}};
    CONCLAVE_TRY(tensorCount_, read<uint64_t>());
    CONCLAVE_TRY(keyCount_, read<uint64_t>());
    const uint64_t mostTensors = std::min(kMostTensors, left() / kLeastTensorBytes),
                   mostKeys = left() / kLeastKeyBytes;
    if (tensorCount_ > mostTensors)
        return Error{Code::LimitExceeded,
                     name_,
                     "number of tensors",
                     {std::to_string(tensorCount_), std::to_string(mostTensors) + " that the file can hold"}};
    if (keyCount_ > mostKeys)
        return Error{Code::LimitExceeded,
                     name_,
                     "number of metadata keys",
                     {std::to_string(keyCount_), std::to_string(mostKeys) + " that the file can hold"}};
    return {};
}

Result<void> GgufParser::readMetadata() {
    for (uint64_t i = 0; i < keyCount_; ++i) {
        field_ = "metadata entry " + std::to_string(i + 1);
        CONCLAVE_TRY(std::string key, readName("metadata key"));
        if (!spend(kNodeBytes)) return tooMuchMetadata();
        field_ = printable(key);
        if (file_.metadata_.count(key) > 0)
            return Error{Code::DuplicateName, name_, "metadata key " + field_, {}};
        CONCLAVE_TRY(const uint32_t type, read<uint32_t>());
        CONCLAVE_TRY(GgufValue value, readScalar(type));
        file_.metadata_.emplace(std::move(key), std::move(value));
    }
    return {};
}

Result<void> GgufParser::readAlignment() {
    static constexpr std::string_view kKey = "general.alignment";
    const auto found = file_.metadata_.find(kKey);
    if (found == file_.metadata_.end()) return {};
    const auto* scalar = std::get_if<GgufScalar>(&found->second);
    const auto* value = scalar ? std::get_if<uint32_t>(scalar) : nullptr;
    if (!value) return Error{Code::WrongType, name_, std::string(kKey), {typeName(found->second), "u32"}};
    if (!std::has_single_bit(*value) || *value < kLeastAlignment || *value > kMostAlignment)
        return Error{Code::ValueOutOfRange,
                     name_,
                     std::string(kKey),
                     {std::to_string(*value), "a power of two from 8 to 1048576"}};
    alignment_ = *value;
    return {};
}

Result<GgufParser::PlacedTensor> GgufParser::readTensor() {
    CONCLAVE_TRY(std::string name, readName("tensor"));
    CONCLAVE_TRY(const uint32_t dimensions, read<uint32_t>());
    if (dimensions == 0 || dimensions > kMostDimensions)
        return malformed("it has " + std::to_string(dimensions) + " dimensions and not 1 to 4");
    PlacedTensor tensor;
    tensor.info.shape.resize(dimensions);
    uint64_t values = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
        CONCLAVE_TRY(const uint64_t extent, read<uint64_t>());
        if (extent == 0) return malformed("dimension " + std::to_string(i + 1) + " is 0");
        if (__builtin_mul_overflow(values, extent, &values) || values > uint64_t{1} << 62)
            return malformed("its dimensions multiply to more values than a file can hold");
        tensor.info.shape[dimensions - 1 - i] = extent;
    }
    CONCLAVE_TRY(const uint32_t type, read<uint32_t>());
    CONCLAVE_TRY(tensor.offset, read<uint64_t>());
    const std::optional<quant::Format> format = quant::fromGgmlType(type);
    if (!format) {
        const std::string_view known = quant::ggmlTypeName(type);
        if (known.empty()) return malformed("its type number " + std::to_string(type) + " is not known");
        return Error{Code::UnsupportedFormat, name_, field_, {std::string(known), conversionFor(known)}};
    }
    const uint64_t rowValues = tensor.info.shape.back(), rowBytes = quant::rowBytes(*format, rowValues);
    if (rowBytes == 0)
        return malformed("its rows of " + std::to_string(rowValues) + " values are not whole blocks of " +
                         std::string(quant::info(*format).name));
    if (__builtin_mul_overflow(values / rowValues, rowBytes, &tensor.size))
        return malformed("its size overflows");
    tensor.info.name = std::move(name);
    tensor.info.format = *format;
    tensor.info.file = name_;
    return tensor;
}

Result<void> GgufParser::readTensors() {
    std::vector<PlacedTensor> tensors;
    tensors.reserve(tensorCount_);
    for (uint64_t i = 0; i < tensorCount_; ++i) {
        field_ = "tensor entry " + std::to_string(i + 1);
        CONCLAVE_TRY(PlacedTensor tensor, readTensor());
        tensors.push_back(std::move(tensor));
    }
    return placeTensors(std::move(tensors));
}

/// The tensors must fill the rest of the file: each at a multiple of the alignment, without overlaps, with
/// nothing between and behind them but padding. What belongs to nobody has no business in a model file.
Result<void> GgufParser::placeTensors(std::vector<PlacedTensor> tensors) {
    std::stable_sort(tensors.begin(), tensors.end(),
                     [](const PlacedTensor& a, const PlacedTensor& b) { return a.offset < b.offset; });
    const uint64_t start = alignUp(at_, alignment_);
    if (start > bytes_.size() && !tensors.empty()) {
        field_ = "tensor data";
        return truncated(start - at_);
    }
    const uint64_t room = start > bytes_.size() ? 0 : bytes_.size() - start;
    uint64_t end = 0;
    std::string previous;
    for (PlacedTensor& tensor : tensors) {
        const std::string shown = printable(tensor.info.name);
        const std::string at = "byte " + std::to_string(tensor.offset);
        field_ = "tensor " + shown;
        if (tensor.offset % alignment_ != 0)
            return Error{Code::TensorMisaligned,
                         name_,
                         shown,
                         {at + " is no multiple of " + std::to_string(alignment_)}};
        if (tensor.offset > room || tensor.size > room - tensor.offset)
            return Error{Code::TensorOutOfFile,
                         name_,
                         shown,
                         {std::to_string(tensor.size) + " bytes at " + at + " of " + std::to_string(room) +
                          " bytes of data"}};
        if (tensor.offset < end) return Error{Code::TensorOverlap, name_, shown, {"tensor " + previous}};
        if (tensor.offset > alignUp(end, alignment_))
            return malformed("the bytes before it, from byte " + std::to_string(end) +
                             " of the data, belong to no tensor");
        end = tensor.offset + tensor.size;
        previous = shown;
        tensor.info.bytes = bytes_.subspan(start + tensor.offset, tensor.size);
        CONCLAVE_TRY_VOID(file_.tensors_.add(std::move(tensor.info)));
    }
    field_ = "end of the file";
    if (room > alignUp(end, alignment_))
        return malformed(std::to_string(room - end) + " bytes follow the last tensor");
    return {};
}

Result<GgufFile> GgufParser::parse() {
    file_.path_ = name_;
    CONCLAVE_TRY_VOID(readHeader());
    CONCLAVE_TRY_VOID(readMetadata());
    CONCLAVE_TRY_VOID(readAlignment());
    CONCLAVE_TRY_VOID(readTensors());
    return std::move(file_);
}

Result<void> GgufParser::join(GgufFile& first, const GgufFile& part, platform::MappedFile mapping) {
    for (const TensorInfo& tensor : part.tensors_.all())
        CONCLAVE_TRY_VOID(first.tensors_.add(tensor));
    keep(first, std::move(mapping));
    return {};
}

}  // namespace conclave::engine::formats
