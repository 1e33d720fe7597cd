#include "engine/formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "engine/formats/json_error.h"
#include "engine/formats/printable.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;
using nlohmann::json;

constexpr uint64_t kMostHeaderBytes = 100'000'000;
constexpr size_t kMostTensors = size_t{1} << 20, kMostDimensions = 8;

struct DataType {
    std::string_view name;
    quant::Format format;
};

constexpr DataType kDataTypes[] = {
    {"F32", quant::Format::F32},        {"F16", quant::Format::F16}, {"BF16", quant::Format::BF16},
    {"F8_E4M3", quant::Format::F8E4M3}, {"I32", quant::Format::I32}, {"I64", quant::Format::I64},
    {"U8", quant::Format::U8},
};

constexpr std::string_view kForeignTypes[] = {"F64", "F8_E5M2", "F8_E8M0", "F4",  "F6_E2M3", "F6_E3M2", "I8",
                                              "I16", "U16",     "U32",     "U64", "BOOL",    "C64"};

struct Entry {
    std::string name, type;
    std::vector<uint64_t> shape, offsets;
    bool hasType = false, hasShape = false, hasOffsets = false;
};

/// Reads the header's JSON straight into entries: it has one fixed shape, and a document of it would take
/// many times the memory.
class HeaderReader final : public nlohmann::json_sax<json> {
  public:
    explicit HeaderReader(const std::string& file) : file_(file) {}

    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("a truth value"); }
    bool number_float(number_float_t, const string_t&) override { return unexpected("a fraction"); }
    bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
    bool binary(binary_t&) override { return unexpected("binary data"); }

    bool number_unsigned(number_unsigned_t value) override {
        if (place_ == Place::Shape && entries_.back().shape.size() < kMostDimensions)
            entries_.back().shape.push_back(value);
        else if (place_ == Place::Offsets && entries_.back().offsets.size() < 2)
            entries_.back().offsets.push_back(value);
        else
            return unexpected(std::to_string(value));
        return true;
    }

    bool string(string_t& value) override {
        if (place_ == Place::Metadata) return true;
        if (place_ != Place::Tensor || key_ != "dtype") return unexpected("text");
        entries_.back().type = std::move(value);
        return true;
    }

    bool start_object(size_t) override {
        if (place_ == Place::Start)
            place_ = Place::Top;
        else if (place_ == Place::Top)
            place_ = key_ == "__metadata__" ? Place::Metadata : Place::Tensor;
        else
            return unexpected("an object");
        return true;
    }

    bool key(string_t& name) override {
        key_ = std::move(name);
        if (place_ == Place::Tensor) return tensorKey();
        if (place_ == Place::Metadata)
            return metadataKeys_.insert(key_).second ||
                   fail({Code::DuplicateName, file_, "__metadata__, key " + printable(key_), {}});
        if (key_ == "__metadata__") {
            if (std::exchange(hasMetadata_, true)) return fail({Code::DuplicateName, file_, key_, {}});
            return true;
        }
        if (entries_.size() >= kMostTensors)
            return fail({Code::LimitExceeded,
                         file_,
                         "number of tensors",
                         {std::to_string(entries_.size() + 1), std::to_string(kMostTensors)}});
        entries_.emplace_back().name = key_;
        return true;
    }

    bool end_object() override {
        if (place_ == Place::Tensor) {
            const Entry& entry = entries_.back();
            if (entry.type.empty() || !entry.hasShape || entry.offsets.size() != 2)
                return fail(malformed("it needs dtype, shape and two data_offsets"));
        }
        place_ = place_ == Place::Top ? Place::End : Place::Top;
        return true;
    }

    bool start_array(size_t) override {
        if (place_ == Place::Tensor && key_ == "shape")
            place_ = Place::Shape;
        else if (place_ == Place::Tensor && key_ == "data_offsets")
            place_ = Place::Offsets;
        else
            return unexpected("a list");
        return true;
    }

    bool end_array() override {
        place_ = Place::Tensor;
        return true;
    }

    bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
        return fail(jsonError(file_, error));
    }

    Result<std::vector<Entry>> finish() {
        if (error_.has_value()) return *std::move(error_);
        return std::move(entries_);
    }

  private:
    enum class Place { Start, Top, Metadata, Tensor, Shape, Offsets, End };

    bool fail(Error error) {
        error_ = std::move(error);
        return false;
    }

    Error malformed(std::string what) const {
        const bool inTensor = place_ == Place::Tensor || place_ == Place::Shape || place_ == Place::Offsets;
        return {Code::MalformedFile,
                file_,
                inTensor ? "tensor " + printable(entries_.back().name) : "the header",
                {std::move(what)}};
    }

    bool unexpected(const std::string& what) {
        return fail(
            malformed("unexpected " + what + " at " + (key_.empty() ? "its beginning" : printable(key_))));
    }

    bool tensorKey() {
        Entry& entry = entries_.back();
        bool* seen = key_ == "dtype"          ? &entry.hasType
                     : key_ == "shape"        ? &entry.hasShape
                     : key_ == "data_offsets" ? &entry.hasOffsets
                                              : nullptr;
        if (!seen) return fail(malformed("unknown key " + printable(key_)));
        if (std::exchange(*seen, true))
            return fail(
                {Code::DuplicateName, file_, "tensor " + printable(entry.name) + ", key " + key_, {}});
        return true;
    }

    const std::string& file_;
    std::vector<Entry> entries_;
    std::string key_;
    Place place_ = Place::Start;
    bool hasMetadata_ = false;
    std::set<std::string> metadataKeys_;
    std::optional<Error> error_;
};

Result<quant::Format> formatOf(const Entry& entry, const std::string& file) {
    for (const DataType& row : kDataTypes)
        if (row.name == entry.type) return row.format;
    const std::string field = "tensor " + printable(entry.name);
    for (const std::string_view name : kForeignTypes)
        if (name == entry.type)
            return Error{Code::UnsupportedFormat,
                         file,
                         field,
                         {entry.type, "save the model again as bfloat16, float16, float32 or float8_e4m3fn"}};
    return Error{Code::MalformedFile, file, field, {"its dtype " + printable(entry.type) + " is not known"}};
}

Result<uint64_t> bytesOf(const Entry& entry, quant::Format format, const std::string& file) {
    uint64_t bytes = quant::info(format).blockBytes;
    for (const uint64_t extent : entry.shape) {
        if (extent == 0)
            return Error{Code::MalformedFile, file, "tensor " + printable(entry.name), {"a dimension is 0"}};
        if (__builtin_mul_overflow(bytes, extent, &bytes))
            return Error{Code::MalformedFile,
                         file,
                         "tensor " + printable(entry.name),
                         {"its dimensions multiply to more than a file can hold"}};
    }
    return bytes;
}

/// The tensors must fill the data exactly: no holes, no overlaps, nothing behind them.
Result<void> placeEntries(std::vector<Entry> entries, std::span<const std::byte> data,
                          const std::string& file, TensorDirectory& into) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
    uint64_t end = 0;
    std::string previous;
    for (Entry& entry : entries) {
        const std::string shown = printable(entry.name);
        const auto malformed = [&](std::string what) {
            return Error{Code::MalformedFile, file, "tensor " + shown, {std::move(what)}};
        };
        const uint64_t from = entry.offsets[0], to = entry.offsets[1];
        CONCLAVE_TRY(const quant::Format format, formatOf(entry, file));
        CONCLAVE_TRY(const uint64_t bytes, bytesOf(entry, format, file));
        if (to < from) return malformed("its data_offsets run backwards");
        if (to > data.size())
            return Error{Code::TensorOutOfFile,
                         file,
                         shown,
                         {"it ends at byte " + std::to_string(to) + " of " + std::to_string(data.size()) +
                          " bytes of data"}};
        if (bytes != to - from)
            return malformed("its shape needs " + std::to_string(bytes) +
                             " bytes and its data_offsets give " + std::to_string(to - from));
        if (from < end) return Error{Code::TensorOverlap, file, shown, {"tensor " + previous}};
        if (from > end)
            return malformed("the bytes before it, from byte " + std::to_string(end) +
                             " of the data, belong to no tensor");
        end = to;
        previous = shown;
        CONCLAVE_TRY_VOID(into.add(
            {std::move(entry.name), format, std::move(entry.shape), data.subspan(from, bytes), file}));
    }
    if (end != data.size())
        return Error{Code::MalformedFile,
                     file,
                     "end of the file",
                     {std::to_string(data.size() - end) + " bytes follow the last tensor"}};
    return {};
}

}  // namespace

Result<void> parseSafetensors(std::span<const std::byte> bytes, const std::string& name,
                              TensorDirectory& into) {
    uint64_t length = 0;
    if (bytes.size() < sizeof length)
        return Error{Code::FileTruncated,
                     name,
                     "the header's length",
                     {"8 bytes are needed, " + std::to_string(bytes.size()) + " are there"}};
    std::memcpy(&length, bytes.data(), sizeof length);
    if (length > kMostHeaderBytes)
        return Error{Code::LimitExceeded,
                     name,
                     "length of the header",
                     {std::to_string(length), std::to_string(kMostHeaderBytes)}};
    const std::span<const std::byte> rest = bytes.subspan(sizeof length);
    if (length > rest.size())
        return Error{
            Code::FileTruncated,
            name,
            "the header",
            {std::to_string(length) + " bytes are needed, " + std::to_string(rest.size()) + " are there"}};
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), length);
    if (text.substr(0, 1) != "{")
        return Error{Code::MalformedFile, name, "the header", {"it does not begin with {"}};
    CONCLAVE_TRY_VOID(checkJsonText(text, name));
    HeaderReader reader(name);
    json::sax_parse(text.begin(), text.end(), &reader);
    CONCLAVE_TRY(std::vector<Entry> entries, reader.finish());
    return placeEntries(std::move(entries), rest.subspan(length), name, into);
}

Result<void> readSafetensors(const std::string& path, TensorDirectory& into) {
    CONCLAVE_TRY(platform::MappedFile file, platform::MappedFile::open(path));
    CONCLAVE_TRY_VOID(parseSafetensors(file.bytes(), path, into));
    into.keep(std::move(file));
    return {};
}

}  // namespace conclave::engine::formats
