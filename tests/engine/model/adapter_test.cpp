#include "engine/model/adapter.h"

#include <gtest/gtest.h>

#include "tests/engine/model/adapted.h"

namespace conclave::engine::model {
namespace {

using base::Code;

/// Logits of every position of one sequence, `chunk` tokens a step.
std::vector<float> run(const Model& model, const std::vector<AdapterUse>& uses, uint32_t adaptedFrom = 0,
                       size_t chunk = 64) {
    platform::Team team(2);
    const auto tokens = someTokens(model, 24, 3);
    const Pages pages(model, tokens.size());
    std::vector<float> out;
    for (size_t at = 0; at < tokens.size(); at += chunk) {
        Step step;
        step.slices.push_back({.tokens = std::span(tokens).subspan(at, std::min(chunk, tokens.size() - at)),
                               .start = static_cast<uint32_t>(at),
                               .pages = pages.span(),
                               .logits = Slice::Logits::All,
                               .adapters = uses,
                               .adaptedFrom = adaptedFrom});
        EXPECT_EQ(model.forward(step, team), StepOutcome::Done);
        out.insert(out.end(), step.logits.begin(), step.logits.end());
    }
    return out;
}

float largestDifference(const std::vector<float>& a, const std::vector<float>& b) {
    float most = 0;
    for (size_t i = 0; i < a.size(); ++i)
        most = std::max(most, std::abs(a[i] - b[i]));
    return most;
}

// --- names and forms ---

TEST_F(FusedExperts, EveryOrientationGivesTheBitsOfSingleExperts) {
    const auto single = mustLoad(this->single(), *model);
    ASSERT_NE(single, nullptr);
    EXPECT_EQ(single->counts.matrices, experts * 3);
    ASSERT_EQ(single->counts.layers.size(), 1u);
    EXPECT_EQ(single->counts.layers[0].experts, experts * 3);
    const auto want = run(*model, {{single.get()}}), base = run(*model, {});
    EXPECT_GT(largestDifference(want, base), 0.01f);
    for (const bool swapped : {false, true})
        for (const bool downInside : {false, true}) {
            const auto adapter = mustLoad(fused(swapped, downInside), *model);
            ASSERT_NE(adapter, nullptr);
            EXPECT_EQ(adapter->counts.pairs, 2u);
            EXPECT_EQ(adapter->counts.matrices, experts * 3);
            EXPECT_EQ(run(*model, {{adapter.get()}}), want) << swapped << downInside;
        }
}

TEST_F(FusedExperts, ShapesThatFitNothingAreRefused) {
    builder.pair("model.layers.1.mlp.experts", drawn({experts * 2, hidden + 1}, 1),
                 drawn({width, experts * 2}, 2));
    EXPECT_EQ(codeOf(), Code::AdapterMismatch);
    builder.pair("model.layers.1.mlp.experts", drawn({experts * 2 + 1, hidden}, 1),
                 drawn({2 * width, experts * 2 + 1}, 2));
    EXPECT_EQ(codeOf(), Code::AdapterMismatch);
    builder.tensors.clear();
    builder.pair("model.layers.1.mlp.experts", drawn({experts * (hidden + 1), hidden}, 1),
                 drawn({2 * width, experts * (hidden + 1)}, 2));
    EXPECT_EQ(codeOf(), Code::ValueOutOfRange);
}

TEST_F(FusedExperts, WhereShapesLeaveBothOpenTheVersionDecides) {
    // A model whose gate and up together are as wide as its hidden size: A and B look alike.
    Model square = *model;
    square.config.expertIntermediate = static_cast<uint32_t>(hidden / 2);
    for (MatrixInfo& info : square.matrices.matrices)
        if (info.role == Role::ExpertGate || info.role == Role::ExpertUp)
            info.rows = static_cast<uint32_t>(hidden / 2);
    builder.config["r"] = 1;
    builder.pair("model.layers.1.mlp.experts", drawn({experts, hidden}, 1), drawn({hidden, experts}, 2));
    const auto firstOf = [&](const char* version) {
        if (version != nullptr) builder.config["peft_version"] = version;
        const auto adapter = load(builder.writePeft(folder, "square"), square);
        if (!adapter.ok()) return std::numeric_limits<float>::quiet_NaN();
        const auto id = *square.matrices.find(Role::ExpertGate, 1);
        return reinterpret_cast<const float*>((*adapter)->find(id, 0)->a.data)[0];
    };
    EXPECT_TRUE(std::isnan(firstOf(nullptr)));  // refused
    const float a = drawn({1}, 1).values[0], b = drawn({1}, 2).values[0];
    for (const char* version : {"0.19.1", "0.20.0", "1.0", "0.19.1.dev0"})
        EXPECT_EQ(firstOf(version), a) << version;
    for (const char* version : {"0.17.1", "0.18.0", "0.19.0"})
        EXPECT_EQ(firstOf(version), b) << version;
    EXPECT_TRUE(std::isnan(firstOf("unknown")));
}

TEST_F(AdaptedModel, WhatFindsNoPlaceIsRefused) {
    const uint64_t hidden = model->config.hidden;
    const auto queries = uint64_t{model->config.heads} * model->config.keyDim;
    const std::string q = "model.layers.0.self_attn.q_proj";
    const auto with = [&](const std::string& module, std::vector<uint64_t> a, std::vector<uint64_t> b) {
        builder.tensors.clear();
        builder.pair(module, drawn(std::move(a), 1), drawn(std::move(b), 2));
        return codeOf();
    };
    EXPECT_EQ(with("model.layers.0.self_attn.z_proj", {2, hidden}, {queries, 2}), Code::AdapterMismatch);
    EXPECT_EQ(with("model.layers.99.self_attn.q_proj", {2, hidden}, {queries, 2}), Code::AdapterMismatch);
    EXPECT_EQ(with("model.layers.0.mlp.experts.999.up_proj", {2, hidden}, {queries, 2}),
              Code::AdapterMismatch);
    EXPECT_EQ(with("model.layers.0.input_layernorm", {2, hidden}, {hidden, 2}), Code::AdapterMismatch);
    EXPECT_EQ(with("model.embed_tokens", {2, hidden}, {hidden, 2}), Code::UnsupportedOption);
    EXPECT_EQ(with(q, {2, hidden + 1}, {queries, 2}), Code::TensorShape);
    EXPECT_EQ(with(q, {2, hidden}, {queries + 1, 2}), Code::TensorShape);
    EXPECT_EQ(with(q, {2, hidden}, {queries, 3}), Code::TensorShape);
    EXPECT_EQ(with(q, {1000, hidden}, {queries, 1000}), Code::ValueOutOfRange);
    EXPECT_EQ(with(q, {3, hidden}, {queries, 3}), Code::ValueOutOfRange) << "the configuration says 2";
    builder.tensors.erase("base_model.model." + q + ".lora_B.weight");
    EXPECT_EQ(codeOf(), Code::MissingTensor);
    builder.add("base_model.model." + q + ".lora_magnitude_vector", {queries}, std::vector<float>(queries));
    EXPECT_EQ(codeOf(), Code::UnsupportedOption);
    builder.tensors.clear();
    Tensor a = drawn({2, hidden}, 1);
    a.values[5] = std::nanf("");
    builder.pair(q, std::move(a), drawn({queries, 2}, 2));
    EXPECT_EQ(codeOf(), Code::ValueOutOfRange);
    builder.tensors.clear();
    EXPECT_EQ(codeOf(), Code::NotAnAdapter);
}

TEST_F(AdaptedModel, NoMemoryIsAnErrorAndNotTheEnd) {
    builder.pair("model.layers.0.self_attn.o_proj",
                 drawn({2, uint64_t{model->config.heads} * model->config.valueDim}, 1),
                 drawn({model->config.hidden, 2}, 2));
    const std::string path = builder.writePeft(folder, "a");
    platform::failAllocationAfter(1);
    EXPECT_EQ(load(path, *model).error().code, Code::OutOfMemory);
    platform::failAllocationAfter(0);
    EXPECT_NE(mustLoad(path, *model), nullptr);
}

TEST_F(RotatedRows, FollowTheBase) {
    write();
    const auto base = model::mustLoad(kModels + "/llama-tiny/model.gguf");
    const auto want = run(*model, {{mustLoad(peft, *model).get()}});
    EXPECT_GT(largestDifference(want, run(*model, {})), 0.01f);
    EXPECT_EQ(run(*model, {{mustLoad(file, *model).get()}}), want);
    const auto onGguf = run(*base, {{mustLoad(peft, *base).get()}});
    EXPECT_LT(largestDifference(onGguf, want), 1e-4f);
    EXPECT_EQ(run(*base, {{mustLoad(file, *base).get()}}), onGguf);
}

TEST_F(FusedExperts, StacksOfGgufGiveTheBitsOfSingleExperts) {
    const auto want = run(*model, {{mustLoad(single(), *model).get()}});
    const auto adapter = mustLoad(stacked(), *model);
    ASSERT_NE(adapter, nullptr);
    EXPECT_EQ(run(*model, {{adapter.get()}}), want);
}

// --- at work ---

struct AdaptersAtWork : testing::Test {
    std::shared_ptr<const Model> model = model::mustLoad(kModels + "/deepseek-v3-tiny");
    std::shared_ptr<const Adapter> attention =
        mustLoad(kModels + "/deepseek-v3-tiny/adapters/attention", *model);
    std::shared_ptr<const Adapter> everything =
        mustLoad(kModels + "/deepseek-v3-tiny/adapters/everything-rslora", *model);
};

TEST_F(AdaptersAtWork, CutsAndThreadsChangeNoBit) {
    const std::vector<AdapterUse> both{{attention.get(), 0.5f}, {everything.get(), -0.25f}};
    const auto want = run(*model, both);
    for (const size_t chunk : {1u, 5u, 23u})
        EXPECT_EQ(run(*model, both, 0, chunk), want) << chunk;
    EXPECT_NE(run(*model, {{attention.get(), 0.5f}}), want);
    EXPECT_NE(run(*model, {{attention.get(), 0.4f}, {everything.get(), -0.25f}}), want);
}

TEST_F(AdaptersAtWork, NoStrengthIsTheBase) {
    EXPECT_EQ(run(*model, {{attention.get(), 0.0f}}), run(*model, {}));
}

TEST_F(AdaptersAtWork, WorkFromAPositionOn) {
    const auto base = run(*model, {}), whole = run(*model, {{attention.get()}});
    const size_t vocabulary = model->config.vocabulary;
    const auto late = run(*model, {{attention.get()}}, 10);
    EXPECT_TRUE(
        std::equal(late.begin(), late.begin() + static_cast<ptrdiff_t>(10 * vocabulary), base.begin()));
    EXPECT_NE(std::vector(late.begin() + static_cast<ptrdiff_t>(10 * vocabulary), late.end()),
              std::vector(base.begin() + static_cast<ptrdiff_t>(10 * vocabulary), base.end()));
    EXPECT_EQ(run(*model, {{attention.get()}}, 10, 4), late);
    EXPECT_EQ(run(*model, {{attention.get()}}, 24), base);
    EXPECT_NE(late, whole);
}

TEST_F(AdaptersAtWork, RowsOfOneStepKeepTheirOwn) {
    const std::vector<AdapterUse> first{{attention.get(), 1}}, second{{everything.get(), 0.5f}},
        both{{everything.get(), 0.5f}, {attention.get(), 1}};
    const std::vector<std::vector<AdapterUse>> mixed{first, {}, second, first, both, {}, first};
    platform::Team team(2);
    std::vector<std::unique_ptr<Pages>> pages;
    std::vector<std::vector<base::TokenId>> prompts;
    Step together;
    for (size_t i = 0; i < mixed.size(); ++i) {
        prompts.push_back(someTokens(*model, 3 + i, static_cast<uint32_t>(i)));
        pages.push_back(std::make_unique<Pages>(*model, prompts[i].size()));
    }
    const auto slice = [&](size_t i) {
        return Slice{.tokens = prompts[i],
                     .start = 0,
                     .pages = pages[i]->span(),
                     .logits = Slice::Logits::Last,
                     .adapters = mixed[i]};
    };
    for (size_t i = 0; i < mixed.size(); ++i)
        together.slices.push_back(slice(i));
    ASSERT_EQ(model->forward(together, team), StepOutcome::Done);
    const size_t vocabulary = model->config.vocabulary;
    for (size_t i = 0; i < mixed.size(); ++i) {
        Step alone;
        alone.slices.push_back(slice(i));
        ASSERT_EQ(model->forward(alone, team), StepOutcome::Done);
        EXPECT_TRUE(std::equal(alone.logits.begin(), alone.logits.end(),
                               together.logits.begin() + static_cast<ptrdiff_t>(i * vocabulary)))
            << i;
    }
}

}  // namespace
}  // namespace conclave::engine::model
