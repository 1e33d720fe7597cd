#include "engine/model/project.h"

#include <gtest/gtest.h>

#include "engine/model/pass.h"

namespace conclave::engine::model {
namespace {

using kernels::ConstRows;
using kernels::Rows;

/// Two matrices [3][2] behind one id, and a pass of four rows whose x is known.
struct Project : testing::Test {
    std::vector<float> stack = {1, 0, 0, 1, 1, 1, /* second */ 2, 0, 0, 2, 2, 2};
    std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8};   // [4][2]
    std::vector<float> y = std::vector<float>(12, 0);  // [4][3]
    std::vector<float> a = {1, 1}, b = {1, 10, 100};   // rank 1: A sums the input, B spreads it
    formats::TensorDirectory tensors;
    residency::Weights weights;
    ModelConfig config;
    Workspace buffers;
    Step step;
    platform::Team team{1};
    const kernels::Activation exact[1] = {kernels::Activation::F32};
    alignas(64) std::byte scratch[1 << 16];

    void SetUp() override {
        formats::TensorInfo tensor;
        tensor.name = "w";
        tensor.shape = {2, 3, 2};
        tensor.bytes = std::as_bytes(std::span(stack));
        ASSERT_TRUE(tensors.add(tensor).ok());
        residency::Request request;
        request.tensors = {"w"};
        request.shape = {2, 3, 2};
        request.matrices = 2;
        request.rows = 3;
        request.cols = 2;
        auto plan = residency::makePlan(tensors, {request}, {});
        ASSERT_TRUE(plan.ok());
        platform::Team team(1);
        auto loaded = residency::loadWeights(*plan, tensors, team, nullptr);
        ASSERT_TRUE(loaded.ok());
        weights = std::move(loaded).value();
    }
    Pass pass(std::span<const AdapterRows> adapters) {
        return {.config = config,
                .kernels = **kernels::selectKernels("reference"),
                .weights = weights,
                .activations = exact,
                .kvType = kernels::KvType::F32,
                .buffers = buffers,
                .step = step,
                .launch = {&team, scratch, sizeof scratch},
                .rows = 4,
                .adapters = adapters};
    }
    ConstRows in() const { return {x.data(), 4, 2, 2}; }
    Rows out() { return {y.data(), 4, 3, 3}; }
    kernels::MatrixView view(const std::vector<float>& values, uint32_t rows, uint32_t cols) const {
        kernels::MatrixView v;
        v.rows = rows;
        v.cols = cols;
        v.stride = cols * sizeof(float);
        v.data = reinterpret_cast<const std::byte*>(values.data());
        return v;
    }
};

TEST_F(Project, APlainMatrixTakesAllRows) {
    Pass p = pass({});
    project(p, {{MatrixId{0}, out()}}, in());
    EXPECT_EQ(y, (std::vector<float>{1, 2, 3, 3, 4, 7, 5, 6, 11, 7, 8, 15}));
}

TEST_F(Project, PartsTakeTheirRowsAndTheirMatrix) {
    Pass p = pass({});
    const Part parts[] = {{.matrix = 1, .firstRow = 0, .rows = 1}, {.matrix = 0, .firstRow = 2, .rows = 2}};
    project(p, parts, {{MatrixId{0}, out()}}, in());
    EXPECT_EQ(y, (std::vector<float>{2, 4, 6, 0, 0, 0, 5, 6, 11, 7, 8, 15}));
}

TEST_F(Project, AdaptersAreAddedToTheirRowsOnly) {
    Adapter adapter;
    adapter.factors = {{{view(a, 1, 2), view(b, 1, 3), 4}}};
    const AdapterRows group[] = {{&adapter, 0.5f, 1, 2}};
    Pass p = pass(group);
    project(p, {{MatrixId{0}, out()}}, in());
    // rows 1 and 2 gain 2 * (1, 10, 100) * the sum of their input, 7 and 11
    EXPECT_EQ(y,
              (std::vector<float>{1, 2, 3, 3 + 14, 4 + 140, 7 + 1400, 5 + 22, 6 + 220, 11 + 2200, 7, 8, 15}));
}

TEST_F(Project, SortedRowsFindTheirAdapterByTheStepsRow) {
    Adapter adapter;
    adapter.factors = {{{}, {view(a, 1, 2), view(b, 1, 3), 1}}};
    const AdapterRows group[] = {{&adapter, 1, 2, 5}};  // rows 2 to 6 of the step
    Pass p = pass(group);
    const uint32_t stepRows[] = {4, 9, 0,
                                 3};  // rows of x sorted by expert: two of the first, two of the second
    const Part parts[] = {{.matrix = 0, .firstRow = 0, .rows = 2, .stepRows = stepRows},
                          {.matrix = 1, .firstRow = 2, .rows = 2, .stepRows = stepRows}};
    project(p, parts, {{MatrixId{0}, out()}}, in());
    // only x row 3 is a row of the group in the adapted matrix: 2 * (7, 8, 15) + (1, 10, 100) * 15
    EXPECT_EQ(y, (std::vector<float>{1, 2, 3, 3, 4, 7, 10, 12, 22, 14 + 15, 16 + 150, 30 + 1500}));
}

TEST_F(Project, SeveralProjectionsHaveOutputsAndAdaptersOfTheirOwn) {
    Adapter adapter;
    adapter.factors = {{{view(a, 1, 2), view(b, 1, 3), 4}}};
    const AdapterRows group[] = {{&adapter, 0.5f, 1, 2}};
    Pass p = pass(group);
    project(p, {{MatrixId{0}, out()}}, in());
    const std::vector<float> alone = y;
    y.assign(y.size(), 0);
    std::vector<float> wide(4 * 5, -1);
    project(p, {{MatrixId{0}, out()}, {MatrixId{0}, {wide.data(), 4, 5, 5}}}, in());
    EXPECT_EQ(y, alone);
    for (size_t row = 0; row < 4; ++row)
        for (size_t column = 0; column < 5; ++column)
            EXPECT_EQ(wide[row * 5 + column], column < 3 ? alone[row * 3 + column] : -1);
}

TEST_F(Project, AMatrixTheAdapterDoesNotKnowStaysAsItIs) {
    Adapter adapter;
    adapter.factors.resize(8);
    adapter.factors[7] = {{view(a, 1, 2), view(b, 1, 3), 1}};
    const AdapterRows group[] = {{&adapter, 1, 0, 4}};
    Pass p = pass(group);
    project(p, {{MatrixId{0}, out()}}, in());
    EXPECT_EQ(y[0], 1);
}

}  // namespace
}  // namespace conclave::engine::model
