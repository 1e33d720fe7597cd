#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/kernels/kernels.h"

/// Random inputs for kernels, and the slow, plain arithmetic of numerics.md to hold them against.
namespace conclave::engine::kernels {

using quant::Format;
using Random = std::mt19937;

inline constexpr Format kBlockFormats[] = {
    Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1,   Format::Q8_0,   Format::Q2_K, Format::Q3_K,
    Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::IQ4_NL, Format::IQ4_XS, Format::MXFP4};
inline constexpr Format kPlainFormats[] = {Format::F32, Format::F16, Format::BF16, Format::F8E4M3};
/// Everything that can be a weight.
std::vector<Format> allFormats();

float uniform(Random& random, float low, float high);
/// A whole number from 0 to most - 1.
uint32_t below(Random& random, uint32_t most);

/// [rows][cols] with `gap` floats between rows that no kernel may touch.
struct Floats {
    uint32_t rows = 0, cols = 0;
    size_t stride = 0;
    std::vector<float> values;

    Floats(uint32_t rowCount, uint32_t colCount, size_t gap = 0);
    static Floats random(Random& random, uint32_t rows, uint32_t cols, float scale = 1, size_t gap = 0);
    Rows view() { return {values.data(), rows, cols, stride}; }
    ConstRows view() const { return {values.data(), rows, cols, stride}; }
    float* row(size_t r) { return values.data() + r * stride; }
    const float* row(size_t r) const { return values.data() + r * stride; }
};

/// How many values differ in their bits; NaN equals NaN of the same bits.
size_t differentBits(const float* a, const float* b, size_t count);
size_t differentBits(const Floats& a, const Floats& b);

/// A weight matrix with sensible values in any format.
struct Weights {
    std::vector<std::byte> bytes;
    std::vector<float> scales;
    MatrixView view;

    Weights(Random& random, Format format, uint32_t rows, uint32_t cols);
    Weights(const Weights&) = delete;
    /// Row r as quant decodes it, F8E4M3 with its scales.
    std::vector<float> decoded(size_t r) const;
    /// The same matrix in the layout that `row` wants for these activations; valid until the next call.
    MatrixView in(const Kernels& row, Activation activation) const;

  private:
    mutable std::vector<std::byte> laidOut_;
};

/// A team, and scratch of exactly the size that the row asks for; the destructor checks that nothing was
/// written behind.
class Workplace {
  public:
    Workplace(const Kernels& row, size_t threads, uint32_t rows, uint32_t widest);
    ~Workplace();
    Launch& launch() { return launch_; }

  private:
    platform::Team team_;
    std::vector<std::byte> memory_;
    size_t begin_ = 0, size_ = 0;
    Launch launch_;
};

/// The float product of numerics.md, one operation after the other.
float laneProduct(const float* w, const float* x, size_t cols);
/// The tree over sixteen sums.
float laneTree(const float* sums);

/// Every row this machine can run.
std::vector<const Kernels*> runnableKernels();
std::string nameOf(const testing::TestParamInfo<const Kernels*>& info);

}  // namespace conclave::engine::kernels
