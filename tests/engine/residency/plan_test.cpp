#include "engine/residency/plan.h"

#include "tests/engine/residency/directory.h"

namespace conclave::engine::residency {
namespace {

using base::Code;
using quant::Format;

std::vector<std::byte> zeros(size_t count) {
    return std::vector<std::byte>(count);
}

base::Error errorOf(const Directory& d, std::vector<Request> requests, const PlanOptions& options = {}) {
    const auto plan = makePlan(d.tensors, std::move(requests), options);
    EXPECT_FALSE(plan.ok());
    return plan.ok() ? base::Error{} : plan.error();
}

TEST(Plan, PlacesFollowEachOtherAligned) {
    Directory d;
    d.add("a", {3}, {1, 2, 3});
    d.add("b", Format::Q8_0, {2, 64}, zeros(2 * 68));
    const auto plan = makePlan(d.tensors, {wanted("a", {3}, 1, 3), wanted("b", {2, 64}, 2, 64)}, {});
    ASSERT_TRUE(plan.ok()) << base::render(plan.error());
    ASSERT_EQ(plan->places.size(), 2u);
    EXPECT_EQ(plan->places[0].offset, 0u);
    EXPECT_EQ(plan->places[1].offset, 64u);
    EXPECT_EQ(plan->places[1].rowStride, 68u);
    EXPECT_EQ(plan->places[1].matrixStride, 192u);
    EXPECT_EQ(plan->bytes, 64u + 192u);
}

TEST(Plan, SaysInWordsWhatLiesWhere) {
    Directory d;
    d.add("kv_b", Format::BF16, {8, 4}, zeros(64));
    Request request = wanted("kv_b", {8, 4}, 4, 4);
    request.keep = Keep::TransposedSlices;
    request.matrices = 2;
    request.period = 4;
    request.count = 3;
    const auto plan = makePlan(d.tensors, {request}, {});
    ASSERT_TRUE(plan.ok());
    const std::string text = describe(*plan);
    EXPECT_NE(text.find("kv_b"), std::string::npos);
    EXPECT_NE(text.find("2 x [4][3] BF16 -> F32"), std::string::npos) << text;
    EXPECT_NE(text.find("in all 128 bytes"), std::string::npos) << text;
}

TEST(Plan, MissingAndMisshapenTensorsAreNamed) {
    Directory d;
    d.add("a", {2, 3}, {1, 2, 3, 4, 5, 6});
    const base::Error missing = errorOf(d, {wanted("b", {2, 3}, 2, 3)});
    EXPECT_EQ(missing.code, Code::MissingTensor);
    EXPECT_EQ(missing.field, "b");
    EXPECT_EQ(missing.file, "test.gguf");
    const base::Error shape = errorOf(d, {wanted("a", {3, 2}, 3, 2)});
    EXPECT_EQ(shape.code, Code::TensorShape);
    EXPECT_EQ(shape.args, (std::vector<std::string>{"[2, 3]", "[3, 2]"}));
}

TEST(Plan, TensorsThatNobodyWantsAreErrorsUnlessTheyAreLeftOvers) {
    Directory d;
    d.add("a", {1}, {1});
    d.add("rotary_emb.inv_freq", {1}, {1});
    const base::Error unused = errorOf(d, {wanted("a", {1}, 1, 1)});
    EXPECT_EQ(unused.code, Code::UnusedTensor);
    EXPECT_EQ(unused.field, "rotary_emb.inv_freq");
    PlanOptions options;
    options.leftOver = [](std::string_view name) { return name.ends_with("inv_freq"); };
    const auto plan = makePlan(d.tensors, {wanted("a", {1}, 1, 1)}, options);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->skipped, std::vector<std::string>{"rotary_emb.inv_freq"});
}

TEST(Plan, WeightsAreFloats) {
    Directory d;
    d.add("a", Format::I32, {4}, zeros(16));
    EXPECT_EQ(errorOf(d, {wanted("a", {4}, 1, 4)}).code, Code::TensorFormat);
}

TEST(Plan, ExpertsOfALayerShareOneFormat) {
    Directory d;
    d.add("e0", Format::F32, {1, 4}, zeros(16));
    d.add("e1", Format::F16, {1, 4}, zeros(8));
    Request request = wanted("e0", {1, 4}, 1, 4);
    request.tensors = {"e0", "e1"};
    request.matrices = 2;
    const base::Error error = errorOf(d, {request});
    EXPECT_EQ(error.code, Code::TensorFormat);
    EXPECT_EQ(error.field, "e1");
}

TEST(Plan, Fp8NeedsItsScales) {
    Directory d;
    d.add("w", Format::F8E4M3, {200, 130}, zeros(200 * 130));
    EXPECT_EQ(errorOf(d, {wanted("w", {200, 130}, 200, 130)}).field, "w_scale_inv");
    Directory wrong;
    wrong.add("w", Format::F8E4M3, {200, 130}, zeros(200 * 130));
    wrong.add("w_scale_inv", {2, 1}, {1, 1});
    EXPECT_EQ(errorOf(wrong, {wanted("w", {200, 130}, 200, 130)}).code, Code::TensorShape);
    d.add("w_scale_inv", {2, 2}, {1, 1, 1, 1});
    const auto plan = makePlan(d.tensors, {wanted("w", {200, 130}, 200, 130)}, {});
    ASSERT_TRUE(plan.ok()) << base::render(plan.error());
    EXPECT_EQ(plan->places[0].format, Format::F8E4M3);
    EXPECT_EQ(plan->places[0].scaleRows, 2u);
    EXPECT_EQ(plan->places[0].scaleCols, 2u);
}

}  // namespace
}  // namespace conclave::engine::residency
