#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/quant/format.h"

/// Sixteen rows of a stripe in plain C++, one lane after the other: what vector_avx512.h does, for processors
/// that lack it.
namespace conclave::engine::kernels::cpu {
namespace {

struct Portable {
    static constexpr int kLanes = 16;
    static constexpr bool kSigned8 = false;
    static constexpr size_t kAhead = 64;
    struct Floats {
        float lane[16] = {};
    };
    struct Integers {
        uint32_t lane[16] = {};
    };

    template <class To, class Make> static To each(const Make& make) {
        To out;
        for (int i = 0; i < 16; ++i)
            out.lane[i] = make(i);
        return out;
    }

    static Floats zero() { return {}; }
    static Integers none() { return {}; }
    static Floats broadcast(const float* from) {
        return each<Floats>([&](int) { return *from; });
    }
    static Integers broadcast(const int32_t* from) {
        return each<Integers>([&](int) { return static_cast<uint32_t>(*from); });
    }
    static Floats halves(const std::byte* from) {
        return each<Floats>([&](int i) {
            uint16_t bits;
            std::memcpy(&bits, from + 2 * i, 2);
            return quant::halfToFloat(bits);
        });
    }
    static Integers unsignedBytes(const std::byte* from) {
        return each<Integers>([&](int i) { return static_cast<uint32_t>(from[i]); });
    }
    static Integers signedBytes(const std::byte* from) {
        return each<Integers>(
            [&](int i) { return static_cast<uint32_t>(static_cast<int32_t>(static_cast<int8_t>(from[i]))); });
    }
    static Integers load(const std::byte* from) {
        Integers out;
        std::memcpy(out.lane, from, sizeof out.lane);
        return out;
    }
    template <int by> static Integers left(Integers x) {
        return each<Integers>([&](int i) { return x.lane[i] << by; });
    }
    template <int by> static Integers right(Integers x) {
        return each<Integers>([&](int i) { return x.lane[i] >> by; });
    }
    static Integers mask(Integers x, uint32_t bits) {
        return each<Integers>([&](int i) { return x.lane[i] & bits; });
    }
    static Integers join(Integers x, Integers y) {
        return each<Integers>([&](int i) { return x.lane[i] | y.lane[i]; });
    }
    static Floats toFloats(Integers x) {
        return each<Floats>([&](int i) { return static_cast<float>(static_cast<int32_t>(x.lane[i])); });
    }
    static Floats multiply(Floats x, Floats y) {
        return each<Floats>([&](int i) { return x.lane[i] * y.lane[i]; });
    }
    static Floats fma(Floats x, Floats y, Floats z) {
        return each<Floats>([&](int i) { return std::fma(x.lane[i], y.lane[i], z.lane[i]); });
    }
    static Floats fnma(Floats x, Floats y, Floats z) {
        return each<Floats>([&](int i) { return std::fma(-x.lane[i], y.lane[i], z.lane[i]); });
    }
    static void store(float* to, Floats x) { std::memcpy(to, x.lane, sizeof x.lane); }

    template <int bits, int first, int last, int rows, class Unit>
    static void dot(const Unit& unit, const std::byte* x, Integers (&sum)[rows]) {
        for (int at = first; at < last; ++at) {
            const Integers w = unit(at);
            for (int r = 0; r < rows; ++r)
                for (int i = 0; i < 16; ++i)
                    for (int b = 0; b < 4; ++b)
                        sum[r].lane[i] += (w.lane[i] >> 8 * b & 255) *
                                          static_cast<uint32_t>(static_cast<int32_t>(
                                              static_cast<int8_t>(x[(at * rows + r) * 4 + b])));
        }
    }
};

}  // namespace
}  // namespace conclave::engine::kernels::cpu
