#include "tests/engine/kernels/cases.h"

namespace conclave::engine::kernels {
namespace {

TEST(SelectKernels, TheReferenceIsAlwaysThereAndTheLast) {
    ASSERT_FALSE(allKernels().empty());
    EXPECT_EQ("reference", allKernels().back()->name);
    EXPECT_TRUE(allKernels().back()->supported());
}

TEST(SelectKernels, TakesTheBestOrTheNamed) {
    const auto best = selectKernels("");
    ASSERT_TRUE(best.ok());
    EXPECT_EQ(runnableKernels().front(), best.value());
    for (const Kernels* row : runnableKernels()) {
        const auto named = selectKernels(row->name);
        ASSERT_TRUE(named.ok());
        EXPECT_EQ(row, named.value());
    }
}

TEST(SelectKernels, AnUnknownNameSaysWhichThereAre) {
    const auto none = selectKernels("abacus");
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(base::Code::UnknownKernels, none.error().code);
    const std::string text = render(none.error());
    EXPECT_NE(std::string::npos, text.find("abacus")) << text;
    EXPECT_NE(std::string::npos, text.find("reference")) << text;
}

TEST(SelectKernels, EveryRowIsWhole) {
    for (const Kernels* row : allKernels()) {
        EXPECT_FALSE(row->name.empty());
        EXPECT_FALSE(row->family.empty());
        const bool whole = row->supported && row->preferred && row->scratchBytes && row->embed && row->norm &&
                           row->rope && row->matmul && row->addBias && row->add && row->gateUp &&
                           row->clamp && row->storeKv && row->attend && row->storeLatent &&
                           row->attendLatent && row->route && row->gather && row->scatter && row->combine &&
                           row->lowRank;
        EXPECT_TRUE(whole) << row->name;
    }
}

}  // namespace
}  // namespace conclave::engine::kernels
