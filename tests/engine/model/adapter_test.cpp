#include "engine/model/adapter.h"

#include <gtest/gtest.h>

#include "engine/formats/safetensors.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/model/running.h"

namespace conclave::engine::model {
namespace {

using base::Code;
using formats::AdapterBuilder;
using formats::ScratchFolder;
using Tensor = AdapterBuilder::Tensor;

/// A tensor of values between -0.5 and 0.5, the same for the same seed.
Tensor drawn(std::vector<uint64_t> shape, uint32_t seed) {
    size_t count = 1;
    for (const uint64_t d : shape)
        count *= d;
    Tensor out{std::move(shape), {}};
    for (size_t i = 0; i < count; ++i) {
        seed = seed * 1664525u + 1013904223u;
        out.values.push_back(static_cast<float>(seed >> 8) / (1u << 24) - 0.5f);
    }
    return out;
}

base::Result<std::shared_ptr<const Adapter>> load(const std::string& path, const Model& model) {
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(path));
    return loadAdapter(file, model);
}

std::shared_ptr<const Adapter> mustLoad(const std::string& path, const Model& model) {
    auto adapter = load(path, model);
    EXPECT_TRUE(adapter.ok()) << base::render(adapter.error());
    return adapter.ok() ? *adapter : nullptr;
}

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

struct AdaptedModel : testing::Test {
    ScratchFolder folder;
    AdapterBuilder builder;
    std::shared_ptr<const Model> model;
    void SetUp() override { model = model::mustLoad(kModels + "/" + name()); }
    virtual const char* name() const { return "qwen3-moe-tiny"; }

    Code codeOf() {
        const auto adapter = load(builder.writePeft(folder, "bad"), *model);
        EXPECT_FALSE(adapter.ok());
        return adapter.ok() ? Code::Internal : adapter.error().code;
    }
};

/// The experts of layer 1 adapted one by one, and the same as PEFT's releases fuse them.
struct FusedExperts : AdaptedModel {
    const char* name() const override { return "sixty-four-experts-top2-tiny"; }
    uint64_t experts = 0, width = 0, hidden = 0;
    void SetUp() override {
        AdaptedModel::SetUp();
        experts = model->config.experts;
        width = model->config.expertIntermediate;
        hidden = model->config.hidden;
    }
    static constexpr uint64_t kRank = 2;
    static Tensor a(const char* what, uint64_t expert, uint64_t in) {
        return drawn({kRank, in}, static_cast<uint32_t>(expert * 7 + static_cast<uint64_t>(what[0])));
    }
    static Tensor b(const char* what, uint64_t expert, uint64_t out) {
        return drawn({out, kRank}, static_cast<uint32_t>(expert * 11 + static_cast<uint64_t>(what[0])));
    }

    std::string single() {
        builder.tensors.clear();
        for (uint64_t e = 0; e < experts; ++e) {
            const std::string prefix = "model.layers.1.mlp.experts." + std::to_string(e) + ".";
            builder.pair(prefix + "gate_proj", a("both", e, hidden), b("gate", e, width));
            builder.pair(prefix + "up_proj", a("both", e, hidden), b("up", e, width));
            builder.pair(prefix + "down_proj", a("down", e, width), b("down", e, hidden));
        }
        return builder.writePeft(folder, "single");
    }

    /// One pair: its A over inputs [experts * rank][in], its B over outputs [out][rank * experts]; swapped:
    /// the other way round.
    void fuse(const std::string& module, const std::vector<Tensor>& as, const std::vector<Tensor>& bs,
              bool swapped) {
        const uint64_t in = as[0].shape[1], out = bs[0].shape[0];
        Tensor first{{experts * kRank, swapped ? out : in}, {}};
        Tensor second{{swapped ? in : out, kRank * experts}, {}};
        first.values.resize(first.shape[0] * first.shape[1]);
        second.values.resize(second.shape[0] * second.shape[1]);
        for (uint64_t e = 0; e < experts; ++e)
            for (uint64_t k = 0; k < kRank; ++k) {
                const auto inner = [&](uint64_t i) { return as[e].values[k * in + i]; };
                const auto outer = [&](uint64_t o) { return bs[e].values[o * kRank + k]; };
                for (uint64_t i = 0; i < first.shape[1]; ++i)
                    first.values[(e * kRank + k) * first.shape[1] + i] = swapped ? outer(i) : inner(i);
                for (uint64_t o = 0; o < second.shape[0]; ++o)
                    second.values[o * second.shape[1] + k * experts + e] = swapped ? inner(o) : outer(o);
            }
        builder.pair(module, std::move(first), std::move(second));
    }

    std::string fused(bool swapped, bool downInside) {
        std::vector<Tensor> both, down, gateUp, downOut;
        for (uint64_t e = 0; e < experts; ++e) {
            both.push_back(a("both", e, hidden));
            down.push_back(a("down", e, width));
            downOut.push_back(b("down", e, hidden));
            Tensor stacked = b("gate", e, width);
            const Tensor up = b("up", e, width);
            stacked.values.insert(stacked.values.end(), up.values.begin(), up.values.end());
            stacked.shape[0] = 2 * width;
            gateUp.push_back(std::move(stacked));
        }
        builder.tensors.clear();
        const std::string outer = "model.layers.1.mlp.experts", inner = outer + ".base_layer";
        fuse(downInside ? outer : inner, both, gateUp, swapped);
        fuse(downInside ? inner : outer, down, downOut, swapped);
        return builder.writePeft(folder, "fused");
    }
};

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

/// Q and K of a llama in the orders of both kinds of file.
struct RotatedRows : AdaptedModel {
    const char* name() const override { return "llama-tiny"; }
    AdapterBuilder gguf;

    void add(const char* peft, const char* ggufName, uint64_t rows, uint64_t headDim) {
        const Tensor a = drawn({2, model->config.hidden}, 5), b = drawn({rows, 2}, 6);
        builder.pair(std::string("model.layers.0.self_attn.") + peft, a, b);
        Tensor pairs = b;  // as the converter orders rows: halves of a head become neighbours
        for (uint64_t o = 0; o < rows; ++o)
            for (uint64_t k = 0; k < 2; ++k) {
                const uint64_t head = o / headDim * headDim, i = o % headDim;
                pairs.values[o * 2 + k] = b.values[(head + i / 2 + i % 2 * (headDim / 2)) * 2 + k];
            }
        gguf.add(std::string("blk.0.") + ggufName + ".weight.lora_a", a.shape, a.values);
        gguf.add(std::string("blk.0.") + ggufName + ".weight.lora_b", b.shape,
                 headDim > 1 ? pairs.values : b.values);
    }
};

TEST_F(RotatedRows, FollowTheBase) {
    const ModelConfig& c = model->config;
    add("q_proj", "attn_q", uint64_t{c.heads} * c.keyDim, c.keyDim);
    add("k_proj", "attn_k", uint64_t{c.kvHeads} * c.keyDim, c.keyDim);
    add("v_proj", "attn_v", uint64_t{c.kvHeads} * c.valueDim, 1);
    const std::string peft = builder.writePeft(folder, "peft"),
                      file = gguf.writeGguf(folder, "a.gguf", "llama", 4);
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
    AdapterBuilder gguf;
    const auto stack = [&](const char* name, const char* what, const char* in, uint64_t inputs,
                           uint64_t outputs) {
        Tensor a{{experts, kRank, inputs}, {}}, b{{experts, outputs, kRank}, {}};
        for (uint64_t e = 0; e < experts; ++e) {
            const Tensor oneA = this->a(in, e, inputs), oneB = this->b(what, e, outputs);
            a.values.insert(a.values.end(), oneA.values.begin(), oneA.values.end());
            b.values.insert(b.values.end(), oneB.values.begin(), oneB.values.end());
        }
        gguf.add(std::string("blk.1.") + name + ".weight.lora_a", a.shape, a.values);
        gguf.add(std::string("blk.1.") + name + ".weight.lora_b", b.shape, b.values);
    };
    stack("ffn_gate_exps", "gate", "both", hidden, width);
    stack("ffn_up_exps", "up", "both", hidden, width);
    stack("ffn_down_exps", "down", "down", width, hidden);
    const auto adapter = mustLoad(gguf.writeGguf(folder, "e.gguf", "deepseek2", 4), *model);
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
