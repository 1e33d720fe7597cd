#include "engine/model/adapter_probe.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <utility>

#include "engine/model/adapter_fused.h"
#include "tests/engine/model/adapted.h"

namespace conclave::engine::model {
namespace {

using base::Code;

/// A loaded adapter, to be damaged; the probe looks at it as loading does.
struct Damaged {
    formats::AdapterFile file;
    std::shared_ptr<const Model> model;
    std::shared_ptr<Adapter> adapter;
    std::vector<std::byte> bytes;
    std::vector<std::vector<LowRank>> factors;

    Damaged(const std::string& path, std::shared_ptr<const Model> base)
        : file(formats::openAdapter(path).value()), model(std::move(base)),
          adapter(std::const_pointer_cast<Adapter>(mustLoad(path, *model))),
          bytes(adapter->memory.bytes().begin(), adapter->memory.bytes().end()), factors(adapter->factors) {}

    base::Result<void> probe() const {
        const std::vector<AdapterPair> pairs = pairsOf(file).value();
        return probeAdapter({file, pairs, orientationOf(file, pairs, model->config).orientation,
                             model->config, model->matrices},
                            *adapter);
    }
    void mend() {
        std::memcpy(adapter->memory.data(), bytes.data(), bytes.size());
        adapter->factors = factors;
    }
    /// Row k of a factor. Tests that damage values have them as float32.
    float* row(const kernels::MatrixView& matrix, size_t k) const {
        EXPECT_EQ(matrix.format, quant::Format::F32);
        return reinterpret_cast<float*>(adapter->memory.data() + (matrix.data - adapter->memory.data()) +
                                        k * matrix.stride);
    }
};

/// Ways in which a matrix's factors may be wrong and still fit.
using Damage = std::function<void(Damaged&, std::vector<LowRank>& parts, LowRank&)>;
const std::vector<std::pair<const char*, Damage>> kDamages = {
    {"the last bit of a value of A",
     [](Damaged& d, auto&, LowRank& f) {
         float& value = d.row(f.a, f.a.rows - 1)[f.a.cols - 1];
         value = std::nextafter(value, 1.0f);
     }},
    {"the last bit of a value of B",
     [](Damaged& d, auto&, LowRank& f) {
         float& value = d.row(f.b, f.b.rows - 1)[f.b.cols - 1];
         value = std::nextafter(value, 1.0f);
     }},
    {"two inputs for each other",
     [](Damaged& d, auto&, LowRank& f) { std::swap(d.row(f.a, 0)[0], d.row(f.a, 0)[f.a.cols - 1]); }},
    {"two outputs for each other",
     [](Damaged& d, auto&, LowRank& f) { std::swap(d.row(f.b, 0)[0], d.row(f.b, 0)[f.b.cols - 1]); }},
    {"the ranks of B in another order",
     [](Damaged& d, auto&, LowRank& f) {
         std::swap_ranges(d.row(f.b, 0), d.row(f.b, 0) + f.b.cols, d.row(f.b, 1));
     }},
    {"B transposed",
     [](Damaged& d, auto&, LowRank& f) {
         const std::vector<float> b(d.row(f.b, 0), d.row(f.b, 0) + size_t{f.b.rows} * f.b.cols);
         for (size_t i = 0; i < b.size(); ++i)
             d.row(f.b, 0)[i] = b[i % f.b.rows * f.b.cols + i / f.b.rows];
     }},
    {"B of zeros",
     [](Damaged& d, auto&, LowRank& f) { std::fill_n(d.row(f.b, 0), size_t{f.b.rows} * f.b.cols, 0.0f); }},
    {"another scale", [](Damaged&, auto&, LowRank& f) { f.scale = std::nextafter(f.scale, 0.0f); }},
    {"less ranks",
     [](Damaged&, auto&, LowRank& f) {
         --f.a.rows;
         --f.b.rows;
     }},
    {"A and B for each other", [](Damaged&, auto&, LowRank& f) { std::swap(f.a, f.b); }},
    {"factors that are not there", [](Damaged&, auto&, LowRank& f) { f = {}; }},
    {"those of the neighbour", [](Damaged&, auto& parts, LowRank& f) {
         f = parts.size() > 1 ? parts[&f == &parts[1] ? 0 : 1] : LowRank{};
     }}};

/// The probe accepts what was loaded, and every damage to the first or the last matrix of every stack is
/// found.
void expectDamagesFound(const std::string& path, const std::shared_ptr<const Model>& model) {
    Damaged damaged(path, model);
    ASSERT_TRUE(damaged.probe().ok());
    size_t tried = 0;
    for (auto& parts : damaged.adapter->factors) {
        if (parts.empty()) continue;
        for (const size_t part : {size_t{0}, parts.size() - 1})
            for (const auto& [what, damage] : kDamages) {
                damage(damaged, parts, parts[part]);
                const auto found = damaged.probe();
                ASSERT_FALSE(found.ok()) << path << ", matrix " << part << ": " << what;
                EXPECT_EQ(found.error().code, Code::Internal);
                EXPECT_EQ(found.error().file, path);
                EXPECT_FALSE(found.error().field.empty());
                damaged.mend();
                ++tried;
            }
    }
    EXPECT_GT(tried, 0u);
    EXPECT_TRUE(damaged.probe().ok());
}

TEST_F(FusedExperts, ProbesSeeDamage) {
    expectDamagesFound(single(), model);
    expectDamagesFound(stacked(), model);
    for (const bool swapped : {false, true})
        for (const bool downInside : {false, true})
            expectDamagesFound(fused(swapped, downInside), model);
}

TEST_F(RotatedRows, ProbesSeeDamage) {
    write();
    const auto gguf = model::mustLoad(kModels + "/llama-tiny/model.gguf");
    for (const auto& base : {model, gguf})
        for (const std::string& path : {peft, file})
            expectDamagesFound(path, base);
}

/// Rows of Q that are not brought into the order of the base fit as well.
TEST_F(RotatedRows, ProbesSeeRowsInTheOrderOfAnotherKindOfFile) {
    write();
    const auto gguf = model::mustLoad(kModels + "/llama-tiny/model.gguf");
    Damaged damaged(peft, gguf);
    const auto other = mustLoad(file, *model);
    const MatrixId query = *gguf->matrices.find(Role::Query, 0);
    ASSERT_EQ(other->find(query, 0)->b.cols, damaged.adapter->find(query, 0)->b.cols);
    damaged.adapter->factors[static_cast<size_t>(query)] = other->factors[static_cast<size_t>(query)];
    const auto found = damaged.probe();
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().field, "model.layers.0.self_attn.q_proj");
    const std::string sentence = base::render(found.error());
    EXPECT_NE(sentence.find("the adapter computes something else than its file (matrix 0: output 1 is "),
              std::string::npos)
        << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos);
}

struct LatentHalves : AdaptedModel {
    const char* name() const override { return "deepseek-v3-tiny"; }
    uint64_t rows = 0, latent = 0;
    void SetUp() override {
        AdaptedModel::SetUp();
        const ModelConfig& c = model->config;
        rows = uint64_t{c.heads} * (c.nopeDim + c.valueDim);
        latent = c.latentRank;
    }
};

TEST_F(LatentHalves, ProbesSeeDamage) {
    const ModelConfig& c = model->config;
    builder.pair("model.layers.1.self_attn.kv_b_proj", drawn({2, latent}, 3), drawn({rows, 2}, 4));
    builder.pair("model.layers.1.self_attn.o_proj", drawn({2, uint64_t{c.heads} * c.valueDim}, 5),
                 drawn({c.hidden, 2}, 6));
    const std::string peft = builder.writePeft(folder, "kv");
    AdapterBuilder whole, halves;
    whole.tensors["blk.1.attn_kv_b.weight.lora_a"] = drawn({2, latent}, 3);
    whole.tensors["blk.1.attn_kv_b.weight.lora_b"] = drawn({rows, 2}, 4);
    halves.tensors["blk.1.attn_k_b.weight.lora_a"] = drawn({c.heads, 2, c.nopeDim}, 5);
    halves.tensors["blk.1.attn_k_b.weight.lora_b"] = drawn({c.heads, latent, 2}, 6);
    halves.tensors["blk.1.attn_v_b.weight.lora_a"] = drawn({c.heads, 2, latent}, 7);
    halves.tensors["blk.1.attn_v_b.weight.lora_b"] = drawn({c.heads, c.valueDim, 2}, 8);
    for (const char* base : {"", "/model.gguf", "/model-split-mla.gguf"}) {
        const auto on = model::mustLoad(kModels + "/deepseek-v3-tiny" + base);
        expectDamagesFound(peft, on);
        expectDamagesFound(whole.writeGguf(folder, "whole.gguf", "deepseek2", 4), on);
        expectDamagesFound(halves.writeGguf(folder, "halves.gguf", "deepseek2", 4), on);
    }
}

TEST_F(AdaptedModel, ProbesReadEveryFormatOfFactors) {
    const ModelConfig& c = model->config;
    builder.tensors["blk.0.attn_output.weight.lora_a"] = drawn({32, uint64_t{c.heads} * c.valueDim}, 5);
    builder.tensors["blk.0.attn_output.weight.lora_b"] = drawn({c.hidden, 32}, 6);
    for (const quant::Format format :
         {quant::Format::F16, quant::Format::BF16, quant::Format::Q8_0, quant::Format::Q4_0}) {
        builder.stored = format;
        Damaged damaged(builder.writeGguf(folder, "a.gguf", "qwen3moe", 4), model);
        ASSERT_TRUE(damaged.probe().ok());
        damaged.adapter->memory.data()[7] ^= std::byte{1};
        EXPECT_FALSE(damaged.probe().ok());
    }
}

struct SquareMatrices : AdaptedModel {
    const char* name() const override { return "mixtral-tiny"; }
};

/// Factors that are square fit whichever way they lie: A is [rank][inputs] and B [outputs][rank] all the
/// same.
TEST_F(SquareMatrices, AreWhatTheFileSays) {
    const uint64_t size = model->config.hidden;
    ASSERT_EQ(size, uint64_t{model->config.heads} * model->config.valueDim);
    const auto transposed = [&](const Tensor& from) {
        Tensor to = from;
        for (size_t i = 0; i < from.values.size(); ++i)
            to.values[i] = from.values[i % size * size + i / size];
        return to;
    };
    builder.config["r"] = size;
    builder.config["lora_alpha"] = size;
    const Tensor a = drawn({size, size}, 1), b = drawn({size, size}, 2);
    for (const auto& [first, second] :
         {std::pair{a, b}, {transposed(a), b}, {transposed(b), transposed(a)}}) {
        builder.pair("model.layers.0.self_attn.o_proj", first, second);
        const auto adapter = mustLoad(builder.writePeft(folder, "square"), *model);
        ASSERT_NE(adapter, nullptr);
        const LowRank& found = *adapter->find(*model->matrices.find(Role::Output, 0), 0);
        // Column 5 of the change: (B A) e_5 = B's rows times column 5 of A.
        for (size_t o = 0; o < size; ++o) {
            double want = 0, got = 0;
            for (size_t k = 0; k < size; ++k) {
                want += double{second.values[o * size + k]} * first.values[k * size + 5];
                got += double{reinterpret_cast<const float*>(found.b.data)[k * size + o]} *
                       reinterpret_cast<const float*>(found.a.data)[k * size + 5];
            }
            ASSERT_NEAR(got, want, 1e-9) << o;
        }
    }
    // With a rank of its own, one that lies the other way does not fit, though inputs are as many as outputs.
    builder.config["r"] = 2;
    builder.pair("model.layers.0.self_attn.o_proj", drawn({size, 2}, 1), drawn({2, size}, 2));
    EXPECT_EQ(codeOf(), Code::TensorShape);
}

TEST_F(AdaptedModel, SaysWhetherAnAdapterChangesAnything) {
    const ModelConfig& c = model->config;
    const uint64_t width = uint64_t{c.heads} * c.valueDim;
    const auto zeros = [](std::vector<uint64_t> shape) {
        Tensor out = drawn(std::move(shape), 1);
        std::ranges::fill(out.values, -0.0f);
        return out;
    };
    const Tensor a = drawn({2, width}, 1), b = drawn({c.hidden, 2}, 2), noA = zeros(a.shape),
                 noB = zeros(b.shape);
    const auto with = [&](const Tensor& a0, const Tensor& b0, const Tensor& a1, const Tensor& b1) {
        builder.pair("model.layers.0.self_attn.o_proj", a0, b0);
        builder.pair("model.layers.1.self_attn.o_proj", a1, b1);
        const auto adapter = mustLoad(builder.writePeft(folder, "zeros"), *model);
        return adapter && adapter->changesNothing;
    };
    EXPECT_TRUE(with(a, noB, a, noB)) << "as PEFT begins";
    EXPECT_TRUE(with(noA, b, a, noB));
    EXPECT_TRUE(with(noA, noB, noA, noB));
    EXPECT_FALSE(with(a, noB, a, b));
    EXPECT_FALSE(with(a, b, a, b));
    Tensor last = noB;
    last.values.back() = 1e-30f;
    EXPECT_FALSE(with(a, noB, a, last));
    builder.config["lora_alpha"] = 0;
    EXPECT_TRUE(with(a, b, a, b));
}

}  // namespace
}  // namespace conclave::engine::model
