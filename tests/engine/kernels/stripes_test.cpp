#include "engine/kernels/cpu/int8_matmul.h"
#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/cpu/tile.h"
#include "engine/kernels/layout.h"
#include "tests/engine/kernels/cases.h"
#include "tests/engine/kernels/vector_portable.h"

namespace conclave::engine::kernels {
namespace {

constexpr Format kStriped[] = {Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1,
                               Format::Q8_0, Format::Q4_K, Format::Q5_K, Format::Q6_K};

MatrixView inStripes(const Weights& w, std::vector<std::byte>& memory) {
    MatrixView view = w.view;
    view.layout = Layout::Stripes16;
    view.stride = matrixStride(view.layout, view.format, view.cols);
    memory.assign(matrixBytes(view.layout, view.format, view.rows, view.cols), std::byte{0x5a});
    layOut(view.layout, view.format, w.view.data, w.view.stride, view.rows, view.cols, memory.data());
    view.data = memory.data();
    return view;
}

uint32_t someCols(Format format, Random& random) {
    const uint32_t block = quant::info(format).blockValues;
    return block * (1 + below(random, block == 256 ? 4 : 11));
}

TEST(Stripes, HoldTheRowsExactly) {
    Random random(31);
    for (const Format format : kStriped)
        for (const uint32_t rows : {1u, 15u, 16u, 17u, 40u}) {
            const uint32_t cols = someCols(format, random);
            const Weights w(random, format, rows, cols);
            std::vector<std::byte> memory;
            const MatrixView view = inStripes(w, memory);
            std::vector<float> row(cols);
            for (uint32_t r = 0; r < rows; ++r) {
                cpu::decodeStripeRow(format, view.data + r / 16 * view.stride, r % 16, cols, row.data());
                ASSERT_EQ(0u, differentBits(row.data(), w.decoded(r).data(), cols))
                    << quant::info(format).name << " row " << r;
            }
        }
}

TEST(Stripes, FormatsWithoutThemStayPlain) {
    for (const Kernels* row : runnableKernels())
        for (const Format format : allFormats()) {
            EXPECT_EQ(Layout::Plain, row->layoutFor(format, Activation::F32));
            EXPECT_EQ(row->layoutFor(format, Activation::Int8), row->layoutFor(format, Activation::Int8x2));
            if (row->layoutFor(format, Activation::Int8) == Layout::Plain) continue;
            EXPECT_GT(cpu::stripeForm(format).group, 0u) << quant::info(format).name;
        }
}

/// The tiles of sixteen rows, up to twelve rows of activations, as AVX-512 has them.
template <Format format, int... rows> constexpr cpu::Tiles portable(std::integer_sequence<int, rows...>) {
    return {format, sizeof...(rows), {cpu::multiplyTile<cpu::Portable, format, rows + 1>...}};
}
template <Format format, int most = 12> constexpr cpu::Tiles portable() {
    return portable<format>(std::make_integer_sequence<int, most>());
}

TEST(Stripes, SixteenRowsInARegisterGiveTheBitsOfTheReference) {
    constexpr cpu::Tiles tiles[] = {portable<Format::Q4_0>(), portable<Format::Q4_1>(),
                                    portable<Format::Q5_0>(), portable<Format::Q5_1>(),
                                    portable<Format::Q8_0>(), portable<Format::Q4_K>(),
                                    portable<Format::Q5_K>(), portable<Format::Q6_K, 10>()};
    const cpu::TileTable table{tiles, std::size(tiles)};
    const Kernels& reference = *allKernels().back();
    Random random(32);
    for (const Format format : kStriped)
        for (const uint32_t rows : {1u, 2u, 7u, 12u, 29u}) {
            const Weights w(random, format, 1 + below(random, 70), someCols(format, random));
            const Floats x = Floats::random(random, rows, w.view.cols, 3);
            Floats got(rows, w.view.rows), want(rows, w.view.rows);
            std::vector<std::byte> memory;
            const uint32_t widest = std::max(w.view.cols, w.view.rows);
            Workplace place(*allKernels().front(), 2, rows, widest);
            const MatmulGroup striped{.w = inStripes(w, memory), .rows = rows, .y = got.view()},
                plain{.w = w.view, .rows = rows, .y = want.view()};
            for (const Activation activation : {Activation::Int8, Activation::Int8x2}) {
                cpu::int8Matmul(table, place.launch(), {&striped, 1}, x.view(),
                                activation == Activation::Int8x2 ? 2 : 1);
                reference.matmul(place.launch(), {&plain, 1}, x.view(), activation);
                EXPECT_EQ(0u, differentBits(got, want)) << quant::info(format).name << " rows " << rows;
            }
        }
}

}  // namespace
}  // namespace conclave::engine::kernels
