#include "engine/model/adapter_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conclave::engine::model {
namespace {

using base::Code;
using base::Error;
using base::Result;
using quant::Format;

constexpr size_t kTile = 64;  // values of a rank that are written together: their lines stay in the cache

template <class Bits> Bits bitsAt(const std::byte* from, size_t index) {
    Bits bits;
    std::memcpy(&bits, from + index * sizeof bits, sizeof bits);
    return bits;
}

/// Whether every exponent has a bit that is not set: numbers whose exponent is all ones are not finite.
template <class Bits> bool allFinite(std::span<const std::byte> values, Bits exponent) {
    const size_t count = values.size() / sizeof(Bits);
    constexpr size_t kBlock = 256;
    size_t at = 0;
    for (; at + kBlock <= count; at += kBlock) {
        Bits bad = 0;
        for (size_t i = 0; i < kBlock; ++i)
            bad |= static_cast<Bits>((bitsAt<Bits>(values.data(), at + i) & exponent) == exponent);
        if (bad != 0) return false;
    }
    for (; at < count; ++at)
        if ((bitsAt<Bits>(values.data(), at) & exponent) == exponent) return false;
    return true;
}

bool allFinite(Format format, std::span<const std::byte> values) {
    switch (format) {
    case Format::F16:
        return allFinite<uint16_t>(values, 0x7c00);
    case Format::BF16:
        return allFinite<uint16_t>(values, 0x7f80);
    default:
        return allFinite<uint32_t>(values, 0x7f800000);
    }
}

template <class Bits>
void moveValues(const std::byte* from, const FactorSource& source, std::span<const uint32_t> order,
                uint32_t rank, uint32_t values, std::byte* out) {
    for (size_t begin = 0; begin < values; begin += kTile) {
        const size_t end = std::min<size_t>(begin + kTile, values);
        for (size_t k = 0; k < rank; ++k) {
            const size_t first = source.begin + k * source.rankStride;
            std::byte* to = out + (k * values + begin) * sizeof(Bits);
            if (order.empty() && source.valueStride == 1) {
                std::memcpy(to, from + (first + begin) * sizeof(Bits), (end - begin) * sizeof(Bits));
                continue;
            }
            for (size_t i = begin; i < end; ++i, to += sizeof(Bits)) {
                const size_t value = order.empty() ? i : order[i];
                const auto bits = bitsAt<Bits>(from, first + value * source.valueStride);
                std::memcpy(to, &bits, sizeof bits);
            }
        }
    }
}

}  // namespace

Format keptFormat(Format stored) {
    return stored == Format::BF16 || stored == Format::F16 ? stored : Format::F32;
}

Result<AdapterValues> AdapterValues::of(const formats::TensorInfo& tensor, const std::string& file) {
    const quant::FormatInfo& format = quant::info(tensor.format);
    if (format.decode == nullptr || tensor.format == Format::F8E4M3)
        return Error{Code::TensorFormat,
                     tensor.file,
                     tensor.name,
                     {std::string(format.name), "an adapter's factors are floats"}};
    AdapterValues out;
    out.kept_ = keptFormat(tensor.format);
    out.from_ = tensor.bytes;
    if (tensor.format != out.kept_) {
        const size_t blocks = tensor.bytes.size() / format.blockBytes;
        out.decoded_.resize(blocks * format.blockValues);
        format.decode(tensor.bytes.data(), blocks, out.decoded_.data());
        out.from_ = std::as_bytes(std::span(out.decoded_));
    }
    if (!allFinite(out.kept_, out.from_))
        return Error{Code::ValueOutOfRange, file, tensor.name, {"NaN or infinity", "finite numbers"}};
    return out;
}

void AdapterValues::fill(const FactorSource& source, std::span<const uint32_t> order, uint32_t rank,
                         uint32_t values, Format format, std::byte* out) const {
    CONCLAVE_CHECK(format == kept_ || format == Format::F32);
    if (kept_ == Format::F32) return moveValues<uint32_t>(from_.data(), source, order, rank, values, out);
    if (format == kept_) return moveValues<uint16_t>(from_.data(), source, order, rank, values, out);
    std::vector<std::byte> narrow(size_t{rank} * values * sizeof(uint16_t));
    moveValues<uint16_t>(from_.data(), source, order, rank, values, narrow.data());
    quant::info(kept_).decode(narrow.data(), size_t{rank} * values, reinterpret_cast<float*>(out));
}

}  // namespace conclave::engine::model
