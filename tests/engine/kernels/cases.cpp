#include "tests/engine/kernels/cases.h"

#include "engine/kernels/layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace conclave::engine::kernels {
namespace {

constexpr std::byte kFence{0xa5};
constexpr size_t kFenceBytes = 256;

/// Where a block keeps its half-precision scales; -1 = none.
struct ScaleFields {
    int first = -1, second = -1;
};

ScaleFields scaleFields(Format format) {
    switch (format) {
    case Format::Q4_1:
    case Format::Q5_1:
    case Format::Q4_K:
    case Format::Q5_K:
        return {0, 2};
    case Format::Q2_K:
        return {80, 82};
    case Format::Q3_K:
        return {108, -1};
    case Format::Q6_K:
        return {208, -1};
    case Format::MXFP4:
        return {};
    default:
        return {0, -1};
    }
}

void putHalf(std::byte* block, int at, float value) {
    if (at < 0) return;
    const uint16_t bits = quant::floatToHalf(value);
    std::memcpy(block + at, &bits, sizeof bits);
}

void fillBlock(Random& random, Format format, std::byte* block, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i)
        block[i] = static_cast<std::byte>(below(random, 256));
    const ScaleFields fields = scaleFields(format);
    putHalf(block, fields.first, uniform(random, -0.02f, 0.02f));
    putHalf(block, fields.second, uniform(random, -0.02f, 0.02f));
    if (format == Format::MXFP4) block[0] = static_cast<std::byte>(118 + below(random, 10));
}

void fillPlain(Random& random, Format format, std::byte* out) {
    const float value = uniform(random, -1, 1);
    uint16_t bits = 0;
    switch (format) {
    case Format::F32:
        std::memcpy(out, &value, 4);
        return;
    case Format::F8E4M3:
        *out = static_cast<std::byte>(below(random, 0x7f) | below(random, 2) << 7);
        return;
    default:
        bits = format == Format::F16 ? quant::floatToHalf(value) : quant::floatToBfloat16(value);
        std::memcpy(out, &bits, 2);
    }
}

}  // namespace

std::vector<Format> allFormats() {
    std::vector<Format> all;
    for (const Format format : kPlainFormats)
        all.push_back(format);
    for (const Format format : kBlockFormats)
        all.push_back(format);
    return all;
}

float uniform(Random& random, float low, float high) {
    return low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
}

uint32_t below(Random& random, uint32_t most) {
    return static_cast<uint32_t>(random() % most);
}

Floats::Floats(uint32_t rowCount, uint32_t colCount, size_t gap)
    : rows(rowCount), cols(colCount), stride(colCount + gap), values(rows * stride, -77.0f) {}

Floats Floats::random(Random& random, uint32_t rows, uint32_t cols, float scale, size_t gap) {
    Floats made(rows, cols, gap);
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < cols; ++c)
            made.row(r)[c] = uniform(random, -scale, scale);
    return made;
}

size_t differentBits(const float* a, const float* b, size_t count) {
    size_t different = 0;
    for (size_t i = 0; i < count; ++i)
        different += std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]);
    return different;
}

size_t differentBits(const Floats& a, const Floats& b) {
    EXPECT_EQ(a.values.size(), b.values.size());
    return differentBits(a.values.data(), b.values.data(), std::min(a.values.size(), b.values.size()));
}

Weights::Weights(Random& random, Format format, uint32_t rows, uint32_t cols) {
    const quant::FormatInfo& info = quant::info(format);
    view.format = format;
    view.rows = rows;
    view.cols = cols;
    view.stride = quant::rowBytes(format, cols);
    bytes.resize(rows * view.stride);
    for (size_t at = 0; at < bytes.size(); at += info.blockBytes) {
        if (info.blockValues == 1)
            fillPlain(random, format, bytes.data() + at);
        else
            fillBlock(random, format, bytes.data() + at, info.blockBytes);
    }
    view.data = bytes.data();
    if (format != Format::F8E4M3) return;
    view.scaleRows = 16;
    view.scaleCols = 24;
    view.scaleStride = (cols + 23) / 24;
    scales.resize((rows + 15) / 16 * size_t{view.scaleStride});
    for (float& scale : scales)
        scale = uniform(random, 0.001f, 0.01f);
    view.scales = scales.data();
}

std::vector<float> Weights::decoded(size_t r) const {
    std::vector<float> row(view.cols);
    const quant::FormatInfo& info = quant::info(view.format);
    info.decode(view.data + r * view.stride, view.cols / info.blockValues, row.data());
    if (view.format == Format::F8E4M3)
        for (size_t c = 0; c < row.size(); ++c)
            row[c] *= scales[r / view.scaleRows * view.scaleStride + c / view.scaleCols];
    return row;
}

MatrixView Weights::in(const Kernels& row, Activation activation) const {
    MatrixView laidOut = view;
    laidOut.layout = row.layoutFor(view.format, appliedActivation(view.format, activation));
    if (laidOut.layout == Layout::Plain) return view;
    constexpr size_t kAlign = 64;
    const size_t bytes = matrixBytes(laidOut.layout, view.format, view.rows, view.cols);
    laidOut_.assign(bytes + kAlign, std::byte{0x5a});
    std::byte* begin =
        laidOut_.data() + (kAlign - reinterpret_cast<uintptr_t>(laidOut_.data()) % kAlign) % kAlign;
    layOut(laidOut.layout, view.format, view.data, view.stride, view.rows, view.cols, begin);
    laidOut.data = begin;
    laidOut.stride = matrixStride(laidOut.layout, view.format, view.cols);
    return laidOut;
}

Workplace::Workplace(const Kernels& row, size_t threads, uint32_t rows, uint32_t widest)
    : team_(threads), size_(row.scratchBytes({rows, widest, widest, threads})) {
    memory_.assign(size_ + 64 + kFenceBytes, kFence);
    begin_ = (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
    launch_ = {&team_, memory_.data() + begin_, size_};
}

Workplace::~Workplace() {
    for (size_t i = begin_ + size_; i < memory_.size(); ++i)
        if (memory_[i] != kFence)
            ADD_FAILURE() << "scratch was written " << i - begin_ - size_ << " bytes behind its end";
}

float laneProduct(const float* w, const float* x, size_t cols) {
    float sums[16] = {};
    for (size_t k = 0; k < cols; ++k)
        sums[k % 16] = std::fma(w[k], x[k], sums[k % 16]);
    return laneTree(sums);
}

float laneTree(const float* sums) {
    float tree[16];
    std::copy(sums, sums + 16, tree);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; ++i)
            tree[i] += tree[i + half];
    return tree[0];
}

std::vector<const Kernels*> runnableKernels() {
    std::vector<const Kernels*> rows;
    for (const Kernels* row : allKernels())
        if (row->supported()) rows.push_back(row);
    return rows;
}

std::string nameOf(const testing::TestParamInfo<const Kernels*>& info) {
    std::string name(info.param->name);
    std::replace_if(
        name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; },
        '_');
    return name;
}

}  // namespace conclave::engine::kernels
