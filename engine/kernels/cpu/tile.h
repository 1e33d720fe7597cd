#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/cpu/tiles.h"
#include "engine/kernels/inline.h"

/// The int8 product (numerics.md) of a stripe with the rows of a tile, for any register V (vector_*.h). The
/// single row of a decode and the rows of a prefill are instantiations of this one template.
namespace conclave::engine::kernels::cpu {
namespace {

/// Asks for `bytes` bytes into the nearest cache. From three rows up a whole group is asked for one group
/// ahead: where several rows share what is read, the processor's own guess comes too late. For one or two,
/// V::kAhead says whether asking gains anything: on Zen 3 a fifth, on Zen 4 it costs more than it gives.
template <size_t bytes> CONCLAVE_INLINE void prefetch(const std::byte* from) {
#pragma GCC unroll 64
    for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch(from + at);
}

/// Run `j` of a block: 64 bytes of integers below 2^bits, or the V::kLanes * 4 of them from byte `from` on.
template <class V, int bits>
CONCLAVE_INLINE typename V::Integers unitOf(const std::byte* block, int from, int j) {
    if constexpr (bits == 8) {
        return V::load(block + 64 * j + from);
    } else {
        const auto both = V::load(block + 64 * (j % 4) + from);
        const auto low = V::mask(j < 4 ? both : V::template right<4>(both), 0x0f0f0f0fu);
        if constexpr (bits == 4) return low;
        if constexpr (bits == 5) {
            const auto upper = V::load(block + 256 + from);
            // Bit j goes to bit 4 of its byte.
            const auto bit = j == 0   ? V::template left<4>(upper)
                             : j == 1 ? V::template left<3>(upper)
                             : j == 2 ? V::template left<2>(upper)
                             : j == 3 ? V::template left<1>(upper)
                             : j == 4 ? upper
                             : j == 5 ? V::template right<1>(upper)
                             : j == 6 ? V::template right<2>(upper)
                                      : V::template right<3>(upper);
            return V::join(low, V::mask(bit, 0x10101010u));
        }
        if constexpr (bits == 6) {
            const auto upper = V::load(block + 256 + 64 * (j / 4) + from);
            const int i = j % 4;
            const auto two = i == 0   ? V::template left<4>(upper)
                             : i == 1 ? V::template left<2>(upper)
                             : i == 2 ? upper
                                      : V::template right<2>(upper);
            return V::join(low, V::mask(two, 0x30303030u));
        }
    }
}

/// Scales W and minimums M of a group, by run.
template <class V, quant::Format format> struct Header {
    static constexpr StripeForm kForm = stripeForm(format);
    static constexpr int kRuns = static_cast<int>(kForm.group / kForm.run);
    typename V::Floats scales[kRuns];
    typename V::Floats minimums[kForm.minimums ? kRuns : 1];

    /// `row`: the first of the V::kLanes rows.
    CONCLAVE_INLINE void read(Header& out, const std::byte* header, int row) {
        using quant::Format;
        if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
            const auto d = V::halves(header + 2 * row), dmin = V::halves(header + 32 + 2 * row);
            const std::byte* packed = header + 64 + row;
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const auto first = V::unsignedBytes(packed + 16 * i),
                           second = V::unsignedBytes(packed + 16 * (i + 4)),
                           third = V::unsignedBytes(packed + 16 * (i + 8));
                out.scales[i] = V::multiply(d, V::toFloats(V::mask(first, 63)));
                out.minimums[i] = V::multiply(dmin, V::toFloats(V::mask(second, 63)));
                const auto scale = V::join(V::mask(third, 15), V::mask(V::template right<2>(first), 0x30));
                const auto minimum =
                    V::join(V::template right<4>(third), V::mask(V::template right<2>(second), 0x30));
                out.scales[i + 4] = V::multiply(d, V::toFloats(scale));
                out.minimums[i + 4] = V::multiply(dmin, V::toFloats(minimum));
            }
        } else if constexpr (format == Format::Q6_K) {
            const auto d = V::halves(header + 2 * row);
#pragma GCC unroll 16
            for (int i = 0; i < 16; ++i)
                out.scales[i] = V::multiply(d, V::toFloats(V::signedBytes(header + 32 + 16 * i + row)));
        } else {
            for (int i = 0; i < 2; ++i) {
                out.scales[i] = V::halves(header + 32 * i + 2 * row);
                // The format adds its minimum: M = -m.
                if constexpr (kForm.minimums) out.minimums[i] = V::halves(header + 64 + 32 * i + 2 * row);
            }
        }
    }
};

/// What a block adds to the sums of `rows` activation rows. `from`: the first of the V::kLanes * 4 bytes of
/// a unit; `x`: the rows' block (tiles.h).
template <class V, quant::Format format, int rows>
CONCLAVE_INLINE void addBlock(const std::byte* block, int from, const std::byte* x,
                              const Header<V, format>& header, int index, typename V::Floats (&acc)[rows]) {
    using Integers = typename V::Integers;
    using Floats = typename V::Floats;
    constexpr StripeForm kForm = stripeForm(format);
    constexpr int kBits = static_cast<int>(kForm.bits);
    constexpr bool kOffset = kForm.offset != 0 && !(kBits == 8 && V::kSigned8);
    constexpr bool kAdded = format == quant::Format::Q4_1 || format == quant::Format::Q5_1;
    const auto* scales = reinterpret_cast<const float*>(x + 32 * rows);
    const float* sums = scales + rows;
    const auto* minus = reinterpret_cast<const int32_t*>(sums + rows);
    const auto unit = [&](int j) __attribute__((always_inline)) {
        return unitOf<V, kBits>(block, from, j);
    };
    Integers integers[rows];
    if constexpr (kForm.run == 32) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
            integers[r] = kOffset ? V::broadcast(minus + r) : V::none();
        V::template dot<kBits, 0, 8, rows>(unit, x, integers);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const Floats scale = V::multiply(header.scales[index], V::broadcast(scales + r));
            acc[r] = V::fma(V::toFloats(integers[r]), scale, acc[r]);
            if constexpr (kForm.minimums && kAdded)
                acc[r] = V::fma(header.minimums[index], V::broadcast(sums + r), acc[r]);
            else if constexpr (kForm.minimums)
                acc[r] = V::fnma(header.minimums[index], V::broadcast(sums + r), acc[r]);
        }
    } else {
        Floats joined[rows];
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
            integers[r] = V::broadcast(minus + rows + r);
        V::template dot<kBits, 0, 4, rows>(unit, x, integers);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            joined[r] = V::multiply(V::toFloats(integers[r]), header.scales[2 * index]);
            integers[r] = V::broadcast(minus + 2 * rows + r);
        }
        V::template dot<kBits, 4, 8, rows>(unit, x, integers);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            joined[r] = V::fma(V::toFloats(integers[r]), header.scales[2 * index + 1], joined[r]);
            acc[r] = V::fma(joined[r], V::broadcast(scales + r), acc[r]);
        }
    }
}

/// y[r * yStride + i] = row i of the stripe times row r of the tile. A register that does not hold sixteen
/// rows takes them in parts, group by group, so that the stripe is read once, in order: side by side for a
/// row or two, else one after the other, so that the sums of the part at hand stay in registers.
template <class V, quant::Format format, int rows>
void multiplyTile(const std::byte* stripe, uint32_t cols, const std::byte* x, float* y, size_t yStride) {
    constexpr StripeForm kForm = stripeForm(format);
    constexpr int kParts = static_cast<int>(kStripeRows) / V::kLanes;
    constexpr int kTogether = rows <= 2 ? kParts : 1;
    constexpr uint32_t kBlocks = kForm.group / 32;
    const uint32_t blocks = cols / 32;
    typename V::Floats acc[kParts][rows];
    for (auto& some : acc)
        for (auto& one : some)
            one = V::zero();
    const std::byte* group = stripe;
    for (uint32_t block = 0; block < blocks; block += kBlocks, group += kForm.groupBytes()) {
        if constexpr (rows < 3 && V::kAhead > 0) prefetch<kForm.headerBytes>(group + V::kAhead);
        const uint32_t count = kBlocks < blocks - block ? kBlocks : blocks - block;
#pragma GCC unroll 2
        for (int part = 0; part < kParts; part += kTogether) {
            if constexpr (rows >= 3) {
                constexpr size_t kShare = kForm.groupBytes() / kParts;
                prefetch<kShare>(group + kForm.groupBytes() + static_cast<size_t>(part) * kShare);
            }
            Header<V, format> header[kTogether];
#pragma GCC unroll 2
            for (int p = 0; p < kTogether; ++p)
                Header<V, format>::read(header[p], group, (part + p) * V::kLanes);
            const std::byte* values = x + size_t{block} * kTileBlockBytes * rows;
            for (uint32_t i = 0; i < count; ++i, values += kTileBlockBytes * rows) {
                const std::byte* at = group + kForm.headerBytes + i * kForm.blockBytes;
                if constexpr (rows < 3 && V::kAhead > 0) prefetch<kForm.blockBytes>(at + V::kAhead);
#pragma GCC unroll 2
                for (int p = 0; p < kTogether; ++p)
                    addBlock<V, format, rows>(at, (part + p) * V::kLanes * 4, values, header[p],
                                              static_cast<int>(i), acc[part + p]);
            }
        }
    }
    for (int part = 0; part < kParts; ++part)
        for (int r = 0; r < rows; ++r)
            V::store(y + static_cast<size_t>(r) * yStride + part * V::kLanes, acc[part][r]);
}

}  // namespace
}  // namespace conclave::engine::kernels::cpu
