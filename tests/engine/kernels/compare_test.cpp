#include "tests/engine/kernels/compare.h"

#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

class Compare : public testing::TestWithParam<const Kernels*> {};

TEST_P(Compare, EveryOperationGivesTheBitsOfTheReference) {
    for (const uint32_t seed : {60u, 61u})
        EXPECT_EQ("", compareWithReference(*GetParam(), *allKernels().back(), seed));
}

TEST(CompareWithReference, NoticesOneWrongOperation) {
    Kernels wrong = *allKernels().back();
    wrong.addBias = [](Launch&, const float* bias, Rows y) {
        for (size_t r = 0; r < y.rows; ++r)
            for (size_t c = 0; c < y.cols; ++c)
                y.row(r)[c] = (y.row(r)[c] + bias[c]) * 1.0000001f;
    };
    EXPECT_EQ(0u, compareWithReference(wrong, *allKernels().back(), 62).find("addBias"));
    wrong.family = "other";
    EXPECT_EQ(0u, compareWithReference(wrong, *allKernels().back(), 62).find("families"));
}

INSTANTIATE_TEST_SUITE_P(Rows, Compare, testing::ValuesIn(runnableKernels()), nameOf);

}  // namespace
}  // namespace conclave::engine::kernels
