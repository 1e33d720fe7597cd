#include "engine/quant/format.h"

#include <array>
#include <bit>

#include "engine/quant/iq4_nl.h"
#include "engine/quant/iq4_xs.h"
#include "engine/quant/mxfp4.h"
#include "engine/quant/plain.h"
#include "engine/quant/q2_k.h"
#include "engine/quant/q3_k.h"
#include "engine/quant/q4_0.h"
#include "engine/quant/q4_1.h"
#include "engine/quant/q4_k.h"
#include "engine/quant/q5_0.h"
#include "engine/quant/q5_1.h"
#include "engine/quant/q5_k.h"
#include "engine/quant/q6_k.h"
#include "engine/quant/q8_0.h"

namespace conclave::engine::quant {
namespace {

static_assert(std::endian::native == std::endian::little,
              "block formats are little-endian and read in place");

// In the order of the enum.
constexpr std::array<FormatInfo, kFormatCount> kFormats = {{
    {Format::F32, "F32", 1, 4, 0, decodeF32, encodeF32},
    {Format::F16, "F16", 1, 2, 1, decodeF16, encodeF16},
    {Format::BF16, "BF16", 1, 2, 30, decodeBF16, encodeBF16},
    {Format::F8E4M3, "F8_E4M3", 1, 1, -1, decodeF8E4M3, nullptr},
    {Format::Q4_0, "Q4_0", 32, 18, 2, decodeQ4_0, encodeQ4_0},
    {Format::Q4_1, "Q4_1", 32, 20, 3, decodeQ4_1, nullptr},
    {Format::Q5_0, "Q5_0", 32, 22, 6, decodeQ5_0, nullptr},
    {Format::Q5_1, "Q5_1", 32, 24, 7, decodeQ5_1, nullptr},
    {Format::Q8_0, "Q8_0", 32, 34, 8, decodeQ8_0, encodeQ8_0},
    {Format::Q2_K, "Q2_K", 256, 84, 10, decodeQ2_K, nullptr},
    {Format::Q3_K, "Q3_K", 256, 110, 11, decodeQ3_K, nullptr},
    {Format::Q4_K, "Q4_K", 256, 144, 12, decodeQ4_K, nullptr},
    {Format::Q5_K, "Q5_K", 256, 176, 13, decodeQ5_K, nullptr},
    {Format::Q6_K, "Q6_K", 256, 210, 14, decodeQ6_K, nullptr},
    {Format::IQ4_NL, "IQ4_NL", 32, 18, 20, decodeIQ4_NL, nullptr},
    {Format::IQ4_XS, "IQ4_XS", 256, 136, 23, decodeIQ4_XS, nullptr},
    {Format::MXFP4, "MXFP4", 32, 17, 39, decodeMXFP4, nullptr},
    {Format::I32, "I32", 1, 4, 26, nullptr, nullptr},
    {Format::I64, "I64", 1, 8, 27, nullptr, nullptr},
    {Format::U8, "U8", 1, 1, -1, nullptr, nullptr},
}};

constexpr bool inOrder() {
    for (size_t i = 0; i < kFormats.size(); ++i)
        if (static_cast<size_t>(kFormats[i].format) != i) return false;
    return true;
}
static_assert(inOrder(), "kFormats must list every Format once, in the order of the enum");

struct ForeignType {
    uint32_t number;
    std::string_view name;
};

// Types of ggml that are not read, so that a file which has them can be told what it has. Source: enum
// ggml_type.
constexpr ForeignType kForeignTypes[] = {
    {4, "Q4_2"},        {5, "Q4_3"},        {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"},
    {17, "IQ2_XS"},     {18, "IQ3_XXS"},    {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"},
    {24, "I8"},         {25, "I16"},        {28, "F64"},   {29, "IQ1_M"}, {31, "Q4_0_4_4"},
    {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},   {34, "TQ1_0"}, {35, "TQ2_0"}, {36, "IQ4_NL_4_4"},
    {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {40, "NVFP4"}, {41, "Q1_0"},
};

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool sameLetters(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

}  // namespace

const FormatInfo& info(Format format) {
    return kFormats[static_cast<size_t>(format)];
}

std::optional<Format> fromGgmlType(uint32_t type) {
    for (const FormatInfo& row : kFormats)
        if (row.ggmlType >= 0 && static_cast<uint32_t>(row.ggmlType) == type) return row.format;
    return std::nullopt;
}

std::string_view ggmlTypeName(uint32_t type) {
    if (const std::optional<Format> format = fromGgmlType(type)) return info(*format).name;
    for (const ForeignType& row : kForeignTypes)
        if (row.number == type) return row.name;
    return {};
}

std::optional<Format> fromName(std::string_view name) {
    for (const FormatInfo& row : kFormats)
        if (sameLetters(row.name, name)) return row.format;
    return std::nullopt;
}

uint64_t rowBytes(Format format, uint64_t values) {
    const FormatInfo& row = info(format);
    return values % row.blockValues == 0 ? values / row.blockValues * row.blockBytes : 0;
}

}  // namespace conclave::engine::quant
