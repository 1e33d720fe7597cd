#include "engine/kernels/lanes.h"
#include "engine/kernels/reference/loops/parts.h"
#include "engine/kernels/reference/unpack.h"

namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS {
namespace {

using quant::Format;

/// Sixteen at a time, as they were unpacked: wider loads would wait for two narrower stores.
template <bool minimums>
CONCLAVE_INLINE void scaleSixteen(const int8_t* integers, float scale, [[maybe_unused]] float minimum,
                                  float* out) {
#pragma GCC unroll 1
    for (int i = 0; i < 16; ++i) {
        const float value = scale * static_cast<float>(integers[i]);
        if constexpr (minimums)
            out[i] = value - minimum;
        else
            out[i] = value;
    }
}

template <Format format> void decodeFormat(const std::byte* in, size_t values, float* out) {
    using Form = Unpack<format>;
    constexpr uint32_t kRuns = Form::kValues / Form::kRun;
    for (size_t at = 0; at < values; at += Form::kValues, in += Form::kBytes) {
        int8_t integers[Form::kValues];
        float scales[kRuns], minimums[kRuns];
        Form::block(in, integers, scales, minimums);
        for (uint32_t i = 0; i < Form::kValues; i += 16) {
            const float minimum = Form::kMinimums ? minimums[i / Form::kRun] : 0.0f;
            scaleSixteen<Form::kMinimums>(integers + i, scales[i / Form::kRun], minimum, out + at + i);
        }
    }
}

template <Format format> void unpackFormat(const std::byte* in, size_t cols, UnpackedRow out) {
    using Form = Unpack<format>;
    constexpr uint32_t kRuns = Form::kValues / Form::kRun;
    for (size_t block = 0; block < cols / Form::kValues; ++block)
        Form::block(in + block * Form::kBytes, out.values + block * Form::kValues, out.scales + block * kRuns,
                    out.minimums + block * kRuns);
}

void decodeHalves(const std::byte* in, size_t values, float* out) {
    const auto* halves = reinterpret_cast<const Half*>(in);
    size_t i = 0;
    for (; i + 8 <= values; i += 8)
        store8(out + i, load8(halves + i));
    for (; i < values; ++i)
        out[i] = widen(halves[i]);
}

void decodeBfloat16(const std::byte* in, size_t values, float* out) {
    for (size_t i = 0; i < values; ++i) {
        uint16_t bits;
        __builtin_memcpy(&bits, in + 2 * i, 2);
        out[i] = __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
    }
}

/// Sign, exponent and fraction to float's places; the exponent is then 120 too small. 0x7f and 0xff are NaN.
void decodeE4m3(const std::byte* in, size_t values, float* out) {
    for (size_t i = 0; i < values; ++i) {
        const uint32_t bits = static_cast<uint32_t>(in[i]);
        const float magnitude = __builtin_bit_cast(float, (bits & 0x7fu) << 20) * 0x1p120f;
        const uint32_t finite = __builtin_bit_cast(uint32_t, magnitude);
        out[i] = __builtin_bit_cast(float, ((bits & 0x7fu) == 0x7fu ? 0x7fc00000u : finite) | (bits & 0x80u)
                                                                                                  << 24);
    }
}

struct BlockForm {
    Format format;
    UnpackedShape shape;
    void (*decode)(const std::byte* in, size_t values, float* out);
    void (*unpack)(const std::byte* in, size_t cols, UnpackedRow out);
};

template <Format format> constexpr BlockForm formOf() {
    return {format,
            {Unpack<format>::kRun, Unpack<format>::kMinimums},
            decodeFormat<format>,
            unpackFormat<format>};
}

constexpr BlockForm kForms[] = {
    formOf<Format::Q4_0>(),
    formOf<Format::Q4_1>(),
    formOf<Format::Q5_0>(),
    formOf<Format::Q5_1>(),
    formOf<Format::Q8_0>(),
    formOf<Format::Q2_K>(),
    formOf<Format::Q3_K>(),
    formOf<Format::Q4_K>(),
    formOf<Format::Q5_K>(),
    formOf<Format::Q6_K>(),
    formOf<Format::IQ4_NL>(),
    formOf<Format::IQ4_XS>(),
    formOf<Format::MXFP4>(),
    {Format::F16, {}, decodeHalves, nullptr},
    {Format::BF16, {}, decodeBfloat16, nullptr},
    {Format::F8E4M3, {}, decodeE4m3, nullptr},
};

const BlockForm* find(Format format) {
    for (const BlockForm& form : kForms)
        if (form.format == format) return &form;
    return nullptr;
}

}  // namespace

void decode(Format format, const std::byte* in, size_t values, float* out) {
    if (const BlockForm* form = find(format))
        form->decode(in, values, out);
    else
        __builtin_memcpy(out, in, values * sizeof(float));
}

void toHalves(const float* x, size_t count, std::byte* out) {
    size_t i = 0;
#if defined(__F16C__)
    using Halves8 = short __attribute__((vector_size(16)));
    for (; i + 8 <= count; i += 8) {
        const Lanes8 eight = load8(x + i);
        const Lanes8 nan = broadcast8(__builtin_nanf(""));
        // The instruction keeps what a NaN carries, the C++ does not.
        const Halves8 halves = __builtin_ia32_vcvtps2ph256(eight == eight ? eight : nan, 0);
        __builtin_memcpy(out + 2 * i, &halves, sizeof halves);
    }
#endif
    for (; i < count; ++i) {
        const uint16_t bits = x[i] == x[i] ? quant::floatToHalf(x[i]) : uint16_t{0x7e00};
        __builtin_memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

void unpack(Format format, const std::byte* in, size_t cols, UnpackedRow out) {
    find(format)->unpack(in, cols, out);
}

UnpackedShape shapeOf(Format format) {
    const BlockForm* form = find(format);
    return form == nullptr ? UnpackedShape{} : form->shape;
}

}  // namespace conclave::engine::kernels::reference::CONCLAVE_LOOPS
