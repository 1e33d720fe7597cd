#include "engine/formats/gguf.h"

#include <cstdio>

#include "engine/formats/gguf_parser.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr uint64_t kMostParts = 99999;  // five digits in the names of parts

std::string partSuffix(uint64_t part, uint64_t parts) {
    char text[64];
    std::snprintf(text, sizeof text, "-%05u-of-%05u.gguf", static_cast<unsigned>(part),
                  static_cast<unsigned>(parts));
    return text;
}

bool endsWith(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Error outOfRange(const GgufFile& file, const char* key, uint64_t value, std::string rule) {
    return {Code::ValueOutOfRange, file.path(), key, {std::to_string(value), std::move(rule)}};
}

/// Opens the parts 2 to `parts` beside the first.
Result<void> joinParts(GgufFile& first, uint64_t parts) {
    const std::string suffix = partSuffix(1, parts);
    if (!endsWith(first.path(), suffix))
        return outOfRange(first, "split.count", parts,
                          "the other parts are found by names that end in " + suffix +
                              "; rename this file so");
    const std::string stem = first.path().substr(0, first.path().size() - suffix.size());
    for (uint64_t part = 2; part <= parts; ++part) {
        const std::string path = stem + partSuffix(part, parts);
        CONCLAVE_TRY(platform::MappedFile mapping, platform::MappedFile::open(path));
        CONCLAVE_TRY(GgufFile file, GgufFile::parse(mapping.bytes(), path));
        CONCLAVE_TRY(const uint64_t number, file.unsignedInt("split.no"));
        CONCLAVE_TRY(const uint64_t count, file.unsignedInt("split.count"));
        if (number != part - 1)
            return outOfRange(file, "split.no", number, "its name says " + std::to_string(part - 1));
        if (count != parts)
            return outOfRange(file, "split.count", count, "the first part says " + std::to_string(parts));
        CONCLAVE_TRY_VOID(GgufParser::join(first, file, std::move(mapping)));
    }
    const size_t found = first.tensors().all().size();
    CONCLAVE_TRY(const uint64_t promised, first.unsignedInt("split.tensors.count", found));
    if (promised != found)
        return outOfRange(first, "split.tensors.count", promised,
                          "the parts hold " + std::to_string(found) + " tensors");
    return {};
}

}  // namespace

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, const std::string& name) {
    return GgufParser(bytes, name).parse();
}

Result<GgufFile> GgufFile::open(const std::string& path) {
    CONCLAVE_TRY(platform::MappedFile mapping, platform::MappedFile::open(path));
    CONCLAVE_TRY(GgufFile file, parse(mapping.bytes(), path));
    GgufParser::keep(file, std::move(mapping));
    CONCLAVE_TRY(const uint64_t parts, file.unsignedInt("split.count", 1));
    if (parts > kMostParts)
        return outOfRange(file, "split.count", parts, "at most " + std::to_string(kMostParts) + " parts");
    CONCLAVE_TRY(const uint64_t part, file.unsignedInt("split.no", 0));
    if (part != 0)
        return outOfRange(file, "split.no", part,
                          "this is a later part of a split model; open the first, which ends in " +
                              partSuffix(1, parts));
    if (parts > 1) CONCLAVE_TRY_VOID(joinParts(file, parts));
    if (!file.tensors().unchanged()) return Error{Code::FileChanged, path, {}, {}};
    return file;
}

}  // namespace conclave::engine::formats
