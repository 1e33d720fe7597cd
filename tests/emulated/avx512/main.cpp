// The AVX-512 tiles against the AVX2 tiles and a plain loop, bit for bit, without an operating system: for
// emulators of processors with AVX-512 that are too slow to start one. run.sh builds and runs it.
//
// Defines: NATIVE       an ordinary Linux program; without AVX-512 only AVX2 and the plain loop are compared
//          CORRUPT      flips one bit of the weights before AVX-512 reads them; then every case whose scale
//                       there is not zero has to fail

#include <cpuid.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef NATIVE
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/cpu/tiles.h"
#include "tests/emulated/avx512/bfloat16.h"

#ifndef NATIVE
// What a compiler may call. The file is compiled so that these loops do not become calls of themselves.
extern "C" {
void* memcpy(void* to, const void* from, size_t bytes) {
    auto* out = static_cast<uint8_t*>(to);
    const auto* in = static_cast<const uint8_t*>(from);
    for (size_t i = 0; i < bytes; ++i)
        out[i] = in[i];
    return to;
}
void* memmove(void* to, const void* from, size_t bytes) {
    auto* out = static_cast<uint8_t*>(to);
    const auto* in = static_cast<const uint8_t*>(from);
    if (out <= in) return memcpy(to, from, bytes);
    for (size_t i = bytes; i > 0; --i)
        out[i - 1] = in[i - 1];
    return to;
}
void* memset(void* to, int value, size_t bytes) {
    auto* out = static_cast<uint8_t*>(to);
    for (size_t i = 0; i < bytes; ++i)
        out[i] = static_cast<uint8_t>(value);
    return to;
}
int memcmp(const void* a, const void* b, size_t bytes) {
    const auto* x = static_cast<const uint8_t*>(a);
    const auto* y = static_cast<const uint8_t*>(b);
    for (size_t i = 0; i < bytes; ++i)
        if (x[i] != y[i]) return x[i] - y[i];
    return 0;
}
}
#endif

namespace {

using namespace conclave::engine::kernels::cpu;
using conclave::engine::quant::Format;

// --- Output ---

#ifdef NATIVE
void put(char c) {
    if (write(STDOUT_FILENO, &c, 1) != 1) _exit(2);
}
#else
constexpr uint16_t kPort = 0x3f8;  // COM1

void writePort(uint16_t port, uint8_t byte) {
    asm volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}
uint8_t readPort(uint16_t port) {
    uint8_t byte;
    asm volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
    return byte;
}
void openSerial() {
    writePort(kPort + 1, 0);     // no interrupts
    writePort(kPort + 3, 0x80);  // the divisor: 115200 baud
    writePort(kPort + 0, 1);
    writePort(kPort + 1, 0);
    writePort(kPort + 3, 3);  // eight bits, no parity, one stop bit
}
void put(char c) {
    while ((readPort(kPort + 5) & 0x20) == 0) {
    }
    writePort(kPort, static_cast<uint8_t>(c));
}
#endif

void print(const char* text) {
    for (; *text != 0; ++text)
        put(*text);
}
void print(uint64_t number) {
    if (number >= 10) print(number / 10);
    put(static_cast<char>('0' + number % 10));
}
void printHex(uint64_t number, int digits) {
    for (int i = digits - 1; i >= 0; --i)
        put("0123456789abcdef"[number >> 4 * i & 15]);
}
void print(const char* name, uint64_t number) {
    print(name);
    print(number);
}

// --- Memory ---

enum Guarded : size_t { kStripe, kTile, kRow, kOutput };

/// The first address of memory that nobody may touch; below it lie kGuardedBytes bytes.
constexpr size_t kGuardedBytes = size_t{1} << 20;
#ifdef NATIVE
std::byte* guardedEnd(Guarded which) {
    static std::byte* ends[4];
    if (ends[which] == nullptr) {
        void* from =
            mmap(nullptr, kGuardedBytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (from == MAP_FAILED) _exit(2);
        ends[which] = static_cast<std::byte*>(from) + kGuardedBytes;
        if (mprotect(ends[which], 4096, PROT_NONE) != 0) _exit(2);
    }
    return ends[which];
}
#else
std::byte* guardedEnd(Guarded which) {
    return reinterpret_cast<std::byte*>((size_t{which} + 1) << 25);  // the missing pages of boot.S
}
#endif

// --- Cases ---

constexpr uint32_t kMostCols = 768;

/// What is put into weights and activations.
enum class Kind : uint32_t {
    Plain,       ///< all bits random, d, m, dmin and a of moderate size
    Subnormals,  ///< half of d, m and dmin are subnormal or zero
    Extremes,    ///< integers all zeros or all ones, activations 127 or -127
    Tiny,        ///< a so small that products with it are subnormal; some rows all zero
};
constexpr Kind kKinds[] = {Kind::Plain, Kind::Plain, Kind::Subnormals, Kind::Extremes, Kind::Tiny};

struct Random {
    uint64_t state;
    uint64_t next() {
        state += 0x9e3779b97f4a7c15;
        uint64_t x = state;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
    }
    uint32_t below(uint32_t end) { return static_cast<uint32_t>((next() >> 32) * end >> 32); }
};

/// A finite half of either sign.
uint16_t randomHalf(Random& random, Kind kind) {
    const bool subnormal = kind == Kind::Subnormals && random.below(2) == 0;
    const uint32_t exponent = subnormal ? 0 : 5 + random.below(14);
    return static_cast<uint16_t>(random.below(2) << 15 | exponent << 10 | random.below(1024));
}

/// Fills `bytes` bytes, a multiple of eight.
void randomIntegers(Random& random, Kind kind, std::byte* out, uint32_t bytes) {
    const uint32_t pattern = random.below(4);
    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t eight = random.next();
        if (kind == Kind::Extremes) {
            if (pattern == 0) eight = 0;
            if (pattern == 1) eight = ~uint64_t{0};
            if (pattern > 1) eight = (eight & 0x0101010101010101) * 0xff;
        }
        std::memcpy(out + at, &eight, 8);
    }
}

bool isK(Format format) {
    return format == Format::Q4_K || format == Format::Q5_K || format == Format::Q6_K;
}

/// A stripe of `cols` values (stripes.h). Beyond the columns it is zero.
void makeStripe(Random& random, Kind kind, Format format, uint32_t cols, std::byte* stripe) {
    const StripeForm form = stripeForm(format);
    std::memset(stripe, 0, stripeBytes(form, cols));
    for (uint32_t at = 0; at < cols; at += 32) {
        std::byte* group = stripe + at / form.group * form.groupBytes();
        const uint32_t part = at % form.group / 32;
        const auto putHalves = [&](uint32_t offset) {
            for (uint32_t row = 0; row < kStripeRows; ++row) {
                const uint16_t half = randomHalf(random, kind);
                std::memcpy(group + offset + 2 * row, &half, 2);
            }
        };
        if (!isK(format)) {
            putHalves(32 * part);
            if (form.minimums) putHalves(64 + 32 * part);
        } else if (part == 0) {
            putHalves(0);
            if (form.minimums) putHalves(32);
            if (form.minimums) randomIntegers(random, kind, group + 64, 12 * kStripeRows);
            if (!form.minimums) randomIntegers(random, kind, group + 32, 16 * kStripeRows);
        }
        randomIntegers(random, kind, group + form.headerBytes + part * form.blockBytes, form.blockBytes);
    }
}

/// A row of activations after rounding.
struct Activations {
    int8_t values[kMostCols];
    float scales[kMostCols / 32];
};

void makeActivations(Random& random, Kind kind, uint32_t cols, Activations& out) {
    for (uint32_t block = 0; block < cols / 32; ++block) {
        const uint32_t pattern = random.below(3);
        for (uint32_t i = 0; i < 32; ++i) {
            int32_t value = static_cast<int32_t>(random.below(255)) - 127;
            if (kind == Kind::Extremes) value = pattern == 0 ? 127 : pattern == 1 || value < 0 ? -127 : 127;
            out.values[32 * block + i] = static_cast<int8_t>(value);
        }
        const uint32_t exponent = kind == Kind::Tiny ? random.below(12) : 119 + random.below(10);
        uint32_t bits = exponent << 23 | random.below(1 << 23);
        if (kind == Kind::Tiny && pattern == 0 && random.below(2) == 0) {
            bits = 0;
            std::memset(out.values + 32 * block, 0, 32);
        }
        std::memcpy(&out.scales[block], &bits, 4);
    }
}

/// Sum of `count` values from `first` on.
int32_t sumOf(const Activations& row, uint32_t first, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = first; i < first + count; ++i)
        sum += row.values[i];
    return sum;
}

/// The tile of `rows` rows (tiles.h) for weights with this offset.
void makeTile(const Activations* activations, uint32_t rows, uint32_t cols, int32_t offset, std::byte* tile) {
    for (uint32_t block = 0; block < cols / 32; ++block) {
        std::byte* at = tile + size_t{block} * kTileBlockBytes * rows;
        for (uint32_t r = 0; r < rows; ++r) {
            const Activations& row = activations[r];
            for (uint32_t j = 0; j < 8; ++j)
                std::memcpy(at + (j * rows + r) * 4, row.values + 32 * block + 4 * j, 4);
            const int32_t sum = sumOf(row, 32 * block, 32), first = sumOf(row, 32 * block, 16);
            const float scaled = row.scales[block] * static_cast<float>(sum);
            const int32_t minus[3] = {-offset * sum, -offset * first, -offset * (sum - first)};
            std::byte* behind = at + 32 * rows + 4 * r;
            std::memcpy(behind, &row.scales[block], 4);
            std::memcpy(behind + 4 * rows, &scaled, 4);
            for (uint32_t i = 0; i < 3; ++i)
                std::memcpy(behind + (2 + i) * 4 * rows, &minus[i], 4);
        }
    }
}

// --- The plain loop ---

float halfToFloat(uint16_t half) {
    const uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    float value;
    if (exponent == 0) {
        value = static_cast<float>(fraction) * 0x1p-24f;
    } else {
        const uint32_t bits = (exponent + 112) << 23 | fraction << 13;
        std::memcpy(&value, &bits, 4);
    }
    return half >> 15 != 0 ? -value : value;
}
float halfAt(const std::byte* from) {
    uint16_t half;
    std::memcpy(&half, from, 2);
    return halfToFloat(half);
}

/// Row `row` of a stripe: integers without offset; W and M by runs.
struct Weights {
    int32_t integers[kMostCols];
    float scales[kMostCols / 16];
    float minimums[kMostCols / 16];
};

void decode(Format format, const std::byte* stripe, uint32_t row, uint32_t cols, Weights& out) {
    const StripeForm form = stripeForm(format);
    for (uint32_t at = 0; at < cols; at += 32) {
        const std::byte* group = stripe + at / form.group * form.groupBytes();
        const uint32_t part = at % form.group / 32;
        const std::byte* block = group + form.headerBytes + part * form.blockBytes;
        for (uint32_t k = 0; k < 32; ++k) {
            const auto byteAt = [&](uint32_t unit) {
                return static_cast<uint32_t>(block[64 * unit + 4 * row + k % 4]);
            };
            const uint32_t j = k / 4;
            uint32_t value = form.bits == 8 ? byteAt(j) : k < 16 ? byteAt(j) & 15 : byteAt(j - 4) >> 4;
            if (form.bits == 5) value |= (byteAt(4) >> j & 1) << 4;
            if (form.bits == 6) value |= (byteAt(4 + j / 4) >> 2 * (j % 4) & 3) << 4;
            out.integers[at + k] = static_cast<int32_t>(value) - form.offset;
        }
        if (format == Format::Q6_K) {
            for (uint32_t run = 2 * part; run < 2 * part + 2; ++run)
                out.scales[(at - 32 * part) / 16 + run] =
                    halfAt(group + 2 * row) *
                    static_cast<float>(static_cast<int8_t>(group[32 + 16 * run + row]));
        } else if (isK(format)) {
            const auto packed = [&](uint32_t i) { return static_cast<uint32_t>(group[64 + 16 * i + row]); };
            uint32_t scale, minimum;
            if (part < 4) {
                scale = packed(part) & 63;
                minimum = packed(part + 4) & 63;
            } else {
                scale = (packed(part + 4) & 15) | packed(part - 4) >> 6 << 4;
                minimum = packed(part + 4) >> 4 | packed(part) >> 6 << 4;
            }
            out.scales[at / 32] = halfAt(group + 2 * row) * static_cast<float>(scale);
            out.minimums[at / 32] = halfAt(group + 32 + 2 * row) * static_cast<float>(minimum);
        } else {
            out.scales[at / 32] = halfAt(group + 32 * part + 2 * row);
            if (form.minimums) out.minimums[at / 32] = -halfAt(group + 64 + 32 * part + 2 * row);
        }
    }
}

int32_t dot(const int32_t* weights, const int8_t* activations, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; ++i)
        sum += weights[i] * activations[i];
    return sum;
}

/// numerics.md, "Int8 products".
float product(Format format, const Weights& weights, const Activations& row, uint32_t cols) {
    const StripeForm form = stripeForm(format);
    float acc = 0;
    for (uint32_t block = 0; block < cols / 32; ++block) {
        const int32_t* w = weights.integers + 32 * block;
        const int8_t* x = row.values + 32 * block;
        const float a = row.scales[block];
        if (form.run == 32) {
            const float scale = weights.scales[block] * a;
            acc = __builtin_fmaf(static_cast<float>(dot(w, x, 32)), scale, acc);
            if (form.minimums) {
                const float sum = a * static_cast<float>(sumOf(row, 32 * block, 32));
                acc = __builtin_fmaf(-weights.minimums[block], sum, acc);
            }
        } else {
            float t = static_cast<float>(dot(w, x, 16)) * weights.scales[2 * block];
            t = __builtin_fmaf(static_cast<float>(dot(w + 16, x + 16, 16)), weights.scales[2 * block + 1], t);
            acc = __builtin_fmaf(t, a, acc);
        }
    }
    return acc;
}

// --- Comparison ---

constexpr uint32_t kUntouched = 0xdeadbeef;
constexpr uint32_t kStride = kStripeRows + 7;  // of the outputs; between the rows nothing may be written

uint32_t bitsAt(const std::byte* from, size_t index) {
    uint32_t bits;
    std::memcpy(&bits, from + 4 * index, 4);
    return bits;
}

struct Counts {
    uint64_t cases = 0, floats = 0, fails = 0;
    uint64_t digestAvx2 = 0xcbf29ce484222325, digestAvx512 = 0xcbf29ce484222325;  // FNV-1a, by words
};
void digest(uint64_t& into, uint32_t bits) {
    into = (into ^ bits) * 0x100000001b3;
}

struct Case {
    const char* name;
    Format format;
    uint32_t rows, cols, seed;
};

/// The first few are told; one is enough for a case to fail.
void tell(const Case& of, const char* what, uint32_t r, uint32_t i, uint32_t avx2, uint32_t other) {
    static uint32_t told = 0;
    if (++told > 40) return;
    print("FAIL ");
    print(of.name);
    print(" rows=", of.rows);
    print(" cols=", of.cols);
    print(" seed=", of.seed);
    print(" row=", r);
    print(" output=", i);
    print(" avx2=");
    printHex(avx2, 8);
    print(what);
    printHex(other, 8);
    print("\n");
}

Activations activations[kMostTileRows];
Weights weights;

void check(const Case& of, bool hasAvx512, Counts& counts) {
    const Kind kind = kKinds[of.seed % (sizeof kKinds / sizeof kKinds[0])];
    Random random{uint64_t{of.seed} << 48 | uint64_t{of.cols} << 16 | uint64_t{of.rows} << 8 |
                  static_cast<uint64_t>(of.format)};
    const size_t bytes = stripeBytes(stripeForm(of.format), of.cols);
    std::byte* stripe = guardedEnd(kStripe) - bytes;
    makeStripe(random, kind, of.format, of.cols, stripe);
    for (uint32_t r = 0; r < of.rows; ++r)
        makeActivations(random, kind, of.cols, activations[r]);
    const size_t rowBytes = size_t{of.cols} / 32 * kTileBlockBytes;
    std::byte* tile = guardedEnd(kTile) - of.rows * rowBytes;
    const int32_t offset = stripeForm(of.format).offset;
    makeTile(activations, of.rows, of.cols, offset, tile);

    // AVX2, a row at a time.
    static float avx2[kMostTileRows][kStripeRows];
    for (uint32_t r = 0; r < of.rows; ++r) {
        std::byte* one = guardedEnd(kRow) - rowBytes;
        makeTile(activations + r, 1, of.cols, offset, one);
        kAvx2Tiles.find(of.format)->multiply[0](stripe, of.cols, one, avx2[r], kStripeRows);
    }

    bool failed = false;
    const auto bits = [&](uint32_t r, uint32_t i) {
        return bitsAt(reinterpret_cast<const std::byte*>(avx2[r]), i);
    };
    // The plain loop.
    for (uint32_t i = 0; i < kStripeRows; ++i) {
        decode(of.format, stripe, i, of.cols, weights);
        for (uint32_t r = 0; r < of.rows; ++r) {
            const float expected = product(of.format, weights, activations[r], of.cols);
            const uint32_t loop = bitsAt(reinterpret_cast<const std::byte*>(&expected), 0);
            if (bits(r, i) == loop) continue;
            if (!failed) tell(of, " loop=", r, i, bits(r, i), loop);
            failed = true;
        }
    }
    // AVX-512, all rows at once.
    if (hasAvx512) {
        const uint32_t outputs = (of.rows - 1) * kStride + kStripeRows;
        std::byte* out = guardedEnd(kOutput) - 4 * outputs;
        std::byte* before = guardedEnd(kOutput) - kGuardedBytes;
        for (std::byte* at = before; at < guardedEnd(kOutput); at += 4)
            if (at + 4 * 64 >= out) std::memcpy(at, &kUntouched, 4);
#ifdef CORRUPT
        // A bit of the first block's integers.
        const uint32_t bit = random.below(stripeForm(of.format).blockBytes * 8);
        std::byte& byte = stripe[stripeForm(of.format).headerBytes + bit / 8];
        byte ^= std::byte{1} << bit % 8;
#endif
        kAvx512Tiles.find(of.format)->multiply[of.rows - 1](stripe, of.cols, tile,
                                                            reinterpret_cast<float*>(out), kStride);
#ifdef CORRUPT
        byte ^= std::byte{1} << bit % 8;
#endif
        for (uint32_t at = 0; at < outputs; ++at) {
            const uint32_t r = at / kStride, i = at % kStride;
            const bool between = i >= kStripeRows;
            const uint32_t expected = between ? kUntouched : bits(r, i), got = bitsAt(out, at);
            if (!between) digest(counts.digestAvx512, got);
            if (got == expected) continue;
            if (!failed) tell(of, between ? " written between=" : " avx512=", r, i, expected, got);
            failed = true;
        }
        for (uint32_t at = 1; at <= 64; ++at) {
            const uint32_t got = bitsAt(out - 4 * at, 0);
            if (got == kUntouched) continue;
            if (!failed) tell(of, " written before=", 0, at, kUntouched, got);
            failed = true;
        }
    }
    for (uint32_t r = 0; r < of.rows; ++r)
        for (uint32_t i = 0; i < kStripeRows; ++i)
            digest(counts.digestAvx2, bits(r, i));
    ++counts.cases;
    counts.floats += of.rows * kStripeRows;
    counts.fails += failed;
}

// --- The processor ---

/// Prints what the processor is. Whether it has what the AVX-512 tiles are compiled for.
bool describeProcessor() {
    unsigned brand[13] = {};
    for (unsigned i = 0; i < 3; ++i)
        __get_cpuid(0x80000002 + i, brand + 4 * i, brand + 4 * i + 1, brand + 4 * i + 2, brand + 4 * i + 3);
    print("CPU ");
    print(reinterpret_cast<const char*>(brand));
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    unsigned stateLow, stateHigh;
    asm volatile("xgetbv" : "=a"(stateLow), "=d"(stateHigh) : "c"(0));
    print("\nCPUID 7: ebx=");
    printHex(b, 8);
    print(" ecx=");
    printHex(c, 8);
    print(" edx=");
    printHex(d, 8);
    print(" xcr0=");
    printHex(stateLow, 2);
    print("\nCPUID 7:");
    const struct {
        const char* name;
        bool has;
    } flags[] = {{" AVX2", (b & bit_AVX2) != 0},         {" AVX512F", (b & bit_AVX512F) != 0},
                 {" AVX512DQ", (b & bit_AVX512DQ) != 0}, {" AVX512BW", (b & bit_AVX512BW) != 0},
                 {" AVX512VL", (b & bit_AVX512VL) != 0}, {" AVX512VNNI", (c & bit_AVX512VNNI) != 0}};
    bool all = (stateLow & 0xe6) == 0xe6;
    for (const auto& flag : flags) {
        if (flag.has) print(flag.name);
        all = all && flag.has;
    }
    print(all ? "\n" : " -- no AVX-512: only AVX2 against the plain loop\n");
    return all;
}

}  // namespace

int main() {
#ifndef NATIVE
    openSerial();
#endif
    const bool hasAvx512 = describeProcessor();
    constexpr struct {
        const char* name;
        Format format;
    } kFormats[] = {{"Q4_0", Format::Q4_0}, {"Q4_1", Format::Q4_1}, {"Q5_0", Format::Q5_0},
                    {"Q5_1", Format::Q5_1}, {"Q8_0", Format::Q8_0}, {"Q4_K", Format::Q4_K},
                    {"Q5_K", Format::Q5_K}, {"Q6_K", Format::Q6_K}};
    constexpr uint32_t kSmallGroups[] = {32, 64, 96, 512, 544}, kLargeGroups[] = {256, 512, 768};
#ifdef CORRUPT
    constexpr uint32_t kSeeds = 1;
#else
    constexpr uint32_t kSeeds = sizeof kKinds / sizeof kKinds[0];
#endif
    Counts all;
    if (kAvx512Tiles.count != 8 || kAvx2Tiles.count != 8) ++all.fails;
    for (const auto& [name, format] : kFormats) {
        const Tiles* tiles = kAvx512Tiles.find(format);
        const Tiles* narrow = kAvx2Tiles.find(format);
        if (tiles == nullptr || narrow == nullptr) {
            print("FAIL no tiles of ");
            print(name);
            print("\n");
            ++all.fails;
            continue;
        }
        Counts counts;
        const auto run = [&](uint32_t cols) {
            for (uint32_t rows = 1; rows <= tiles->mostRows; ++rows)
                for (uint32_t seed = 0; seed < kSeeds; ++seed)
                    check({name, format, rows, cols, seed}, hasAvx512, counts);
        };
        if (isK(format))
            for (const uint32_t cols : kLargeGroups)
                run(cols);
        else
            for (const uint32_t cols : kSmallGroups)
                run(cols);
        print(name);
        print(" rows=1..", tiles->mostRows);
        print(" cases=", counts.cases);
        print(" floats=", counts.floats);
        print(" fails=", counts.fails);
        print(" digest avx2=");
        printHex(counts.digestAvx2, 16);
        if (hasAvx512) print(" avx512=");
        if (hasAvx512) printHex(counts.digestAvx512, 16);
        print("\n");
        all.cases += counts.cases;
        all.floats += counts.floats;
        all.fails += counts.fails;
    }
    if (hasAvx512) {
#ifdef CORRUPT
        constexpr bool kCorrupt = true;
#else
        constexpr bool kCorrupt = false;
#endif
        const Bfloat16Counts counts = checkBfloat16s(guardedEnd(kStripe), guardedEnd(kTile),
                                                     guardedEnd(kOutput), kGuardedBytes, kCorrupt);
        print("BF16 cases=", counts.cases);
        print(" floats=", counts.floats);
        print(" fails=", counts.fails);
        print("\n");
        all.cases += counts.cases;
        all.floats += counts.floats;
        all.fails += counts.fails;
    }
    print("ALL cases=", all.cases);
    print(" floats=", all.floats);
    print("\nDONE fails=", all.fails);
    print("\n");
    return all.fails != 0;
}
