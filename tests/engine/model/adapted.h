#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/adapter.h"
#include "tests/engine/formats/adapter_builder.h"
#include "tests/engine/model/running.h"

/// Adapters in every form for the tiny models, of values that are drawn.
namespace conclave::engine::model {

using formats::AdapterBuilder;
using formats::ScratchFolder;
using Tensor = AdapterBuilder::Tensor;

/// A tensor of values between -0.5 and 0.5, the same for the same seed.
inline Tensor drawn(std::vector<uint64_t> shape, uint32_t seed) {
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

inline base::Result<std::shared_ptr<const Adapter>> load(const std::string& path, const Model& model) {
    CONCLAVE_TRY(const formats::AdapterFile file, formats::openAdapter(path));
    return loadAdapter(file, model);
}

inline std::shared_ptr<const Adapter> mustLoad(const std::string& path, const Model& model) {
    auto adapter = load(path, model);
    EXPECT_TRUE(adapter.ok()) << base::render(adapter.error());
    return adapter.ok() ? *adapter : nullptr;
}

struct AdaptedModel : testing::Test {
    ScratchFolder folder;
    AdapterBuilder builder;
    std::shared_ptr<const Model> model;
    void SetUp() override { model = model::mustLoad(kModels + "/" + name()); }
    virtual const char* name() const { return "qwen3-moe-tiny"; }

    base::Code codeOf() {
        const auto adapter = load(builder.writePeft(folder, "bad"), *model);
        EXPECT_FALSE(adapter.ok());
        return adapter.ok() ? base::Code::Internal : adapter.error().code;
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

    /// The same in a GGUF, one pair for all experts.
    std::string stacked() {
        AdapterBuilder gguf;
        const auto stack = [&](const char* name, const char* what, const char* in, uint64_t inputs,
                               uint64_t outputs) {
            Tensor as{{experts, kRank, inputs}, {}}, bs{{experts, outputs, kRank}, {}};
            for (uint64_t e = 0; e < experts; ++e) {
                const Tensor oneA = a(in, e, inputs), oneB = b(what, e, outputs);
                as.values.insert(as.values.end(), oneA.values.begin(), oneA.values.end());
                bs.values.insert(bs.values.end(), oneB.values.begin(), oneB.values.end());
            }
            gguf.add(std::string("blk.1.") + name + ".weight.lora_a", as.shape, as.values);
            gguf.add(std::string("blk.1.") + name + ".weight.lora_b", bs.shape, bs.values);
        };
        stack("ffn_gate_exps", "gate", "both", hidden, width);
        stack("ffn_up_exps", "up", "both", hidden, width);
        stack("ffn_down_exps", "down", "down", width, hidden);
        return gguf.writeGguf(folder, "stacked.gguf", "deepseek2", 4);
    }
};

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

    std::string peft, file;
    /// Both of them.
    void write() {
        const ModelConfig& c = model->config;
        add("q_proj", "attn_q", uint64_t{c.heads} * c.keyDim, c.keyDim);
        add("k_proj", "attn_k", uint64_t{c.kvHeads} * c.keyDim, c.keyDim);
        add("v_proj", "attn_v", uint64_t{c.kvHeads} * c.valueDim, 1);
        peft = builder.writePeft(folder, "peft");
        file = gguf.writeGguf(folder, "a.gguf", "llama", 4);
    }
};

}  // namespace conclave::engine::model
