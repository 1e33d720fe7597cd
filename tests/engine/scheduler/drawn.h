#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/kernels.h"
#include "engine/library/library.h"
#include "engine/model/model.h"
#include "engine/platform/memory.h"

/// For tests that draw their circumstances at random.
namespace conclave::engine::testing {

using Random = std::mt19937;

/// One seed for the whole run, another sequence for every case.
inline Random randomFor(const std::string& name) {
    static const uint32_t seed = [] {
        const char* given = std::getenv("CONCLAVE_SEED");
        return given != nullptr ? static_cast<uint32_t>(std::atoll(given)) : std::random_device{}();
    }();
    std::printf("CONCLAVE_SEED=%u\n", seed);
    std::seed_seq mixed{seed, static_cast<uint32_t>(std::hash<std::string>{}(name))};
    return Random(mixed);
}

/// A model, and circumstances drawn for it.
struct Drawn {
    Random random;
    std::shared_ptr<const library::LoadedModel> model;

    uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random() % limit); }
    bool coin() { return below(2) == 0; }

    /// Loads without end tokens, or the weights would decide how many pages an answer needs; keys and values
    /// in a type that is drawn.
    void load(const std::string& path, const std::string& kernels, model::LoadOptions options) {
        const auto row = kernels::selectKernels(kernels);
        ASSERT_TRUE(row.ok());
        options.kernels = *row;
        options.kv = coin() ? kernels::KvType::F32 : kernels::KvType::F16;
        auto loaded = library::loadPath(path, "", options);
        ASSERT_TRUE(loaded.ok()) << base::render(loaded.error());
        library::LoadedModel endless = **loaded;
        endless.endTokens.clear();
        model = std::make_shared<const library::LoadedModel>(std::move(endless));
    }

    std::vector<base::TokenId> prompt(uint32_t length) {
        std::vector<base::TokenId> out;
        const auto words = static_cast<uint32_t>(
            std::min<size_t>(model->tokenizer->size(), model->model->config.vocabulary));
        for (uint32_t n = 0; n < length; ++n)
            out.push_back(base::TokenId{static_cast<int32_t>(below(words))});
        return out;
    }

    /// As trained, or steered in one of many ways, and said in one of many ways.
    model::RouterOptions router() {
        model::RouterOptions out;
        const model::ModelConfig& c = model->model->config;
        if (c.experts == 0 || coin()) return out;
        if (below(3) == 0) out.temperature = std::array{0.5f, 1.0f, 1.75f}[below(3)];
        if (below(3) == 0) out.active = std::array{1u, c.chosenExperts, c.chosenExperts + 1}[below(3)];
        if (below(3) == 0) out.floor = std::array{0.0f, 0.4f, 0.8f}[below(3)];
        for (uint32_t n = below(3); n > 0; --n) {
            const float value =
                std::array{1.5f, -1.0f, 0.0f, -std::numeric_limits<float>::infinity()}[below(4)];
            const uint32_t last = c.layers - 1;
            out.biases.push_back({coin() ? std::optional<uint32_t>() : last, below(3), value});
        }
        if (coin()) std::ranges::reverse(out.biases);
        if (!model::canonicalRouter(out, c, "m").ok()) return {};  // too few left
        return out;
    }
};

/// The name of a case: letters and digits of it.
inline std::string caseName(std::string name) {
    std::ranges::replace_if(
        name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    return name;
}

/// KV pages of one sequence.
struct Pages {
    explicit Pages(const model::Model& model, size_t positions) {
        for (size_t n = 0; n * 64 < positions; ++n) {
            memory.push_back(std::move(*platform::Memory::allocate(model.kv.pageBytes, "a test's pages")));
            data.push_back(memory.back().data());
        }
    }
    std::vector<platform::Memory> memory;
    std::vector<std::byte*> data;
};

}  // namespace conclave::engine::testing
