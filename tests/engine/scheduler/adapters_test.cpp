// Requests with different adapters, at once and one after the other: nobody's cache speaks for another.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/scheduler/scheduler.h"
#include "tests/engine/library/folder.h"
#include "tests/engine/scheduler/drawn.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using library::AdapterUse;
using testing::startScheduler;
using testing::Submitted;
using Tokens = std::vector<base::TokenId>;
using Adapter = std::shared_ptr<const library::LoadedAdapter>;

const std::string kModels = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/";

struct Adapted : ::testing::TestWithParam<const char*>, testing::Drawn {
    Adapted() : Drawn{testing::randomFor(GetParam()), nullptr} {}

    testing::TestFolder folder;  // keeps the cache of hashes too
    std::vector<Adapter> adapters;

    std::string pathOf(const std::string& name) const { return kModels + GetParam() + "/adapters/" + name; }
    Adapter loadAdapter(const std::string& path) {
        auto adapter = library::loadAdapter(path, "", *model, {});
        EXPECT_TRUE(adapter.ok()) << base::render(adapter.error());
        return adapter.ok() ? *adapter : nullptr;
    }
    void SetUp() override {
        model::LoadOptions options;
        options.maxRows = 96;
        load(kModels + GetParam(), "", options);
        for (const char* name : {"attention", "experts", "everything-rslora"})
            adapters.push_back(loadAdapter(pathOf(name)));
    }

    /// The attention adapter, working from these tokens on.
    Adapter invokedBy(const Tokens& tokens) {
        const std::string copy = folder.at("invoked");
        std::filesystem::create_directories(copy);
        using enum std::filesystem::copy_options;
        std::filesystem::copy(pathOf("attention"), copy, recursive | overwrite_existing);
        std::ifstream in(copy + "/adapter_config.json");
        nlohmann::json config = nlohmann::json::parse(in);
        for (const base::TokenId token : tokens)
            config["alora_invocation_tokens"].push_back(base::toInt(token));
        std::ofstream(copy + "/adapter_config.json") << config.dump();
        return loadAdapter(copy);
    }

    GenerationRequest request(Tokens prompt, std::vector<AdapterUse> uses) {
        GenerationRequest out = testing::requestFor(model, "");
        out.prompt = std::move(prompt);
        out.adapters = std::move(uses);
        out.maxTokens = 70;  // more than a page
        return out;
    }
    /// The answer of a scheduler of its own that keeps nothing; no other may be at work, since one thread at
    /// a time runs a model.
    Tokens alone(const GenerationRequest& request) {
        return testing::submit(*startScheduler({.threads = 1, .prefixCache = false}), request).tokens();
    }
    std::vector<AdapterUse> someUses() {
        std::vector<AdapterUse> out;
        for (const Adapter& adapter : adapters)
            if (below(3) == 0) out.push_back({adapter, std::array{1.0f, 0.5f, -0.75f, 0.0f}[below(4)]});
        if (coin()) std::ranges::reverse(out);
        return out;
    }
};

TEST_P(Adapted, SwitchingKeepsEverybodysCache) {
    auto scheduler = startScheduler();
    const Tokens text = prompt(200);
    const auto ask = [&](std::vector<AdapterUse> uses) {
        const Submitted run = testing::submit(*scheduler, request(text, std::move(uses)));
        const Tokens tokens = run.tokens();
        return std::pair(tokens, run.usage().cachedTokens);
    };
    const std::vector<AdapterUse> a{{adapters[0]}}, b{{adapters[2]}};
    const Tokens wantA = alone(request(text, a)), wantB = alone(request(text, b)),
                 want = alone(request(text, {}));
    EXPECT_NE(wantA, want);
    EXPECT_NE(wantA, wantB);
    EXPECT_EQ(ask(a), std::pair(wantA, 0u));
    EXPECT_EQ(ask({}), std::pair(want, 0u));
    EXPECT_EQ(ask(b), std::pair(wantB, 0u));
    EXPECT_EQ(ask(a), std::pair(wantA, 192u));
    EXPECT_EQ(ask({}), std::pair(want, 192u));
    EXPECT_EQ(ask(b), std::pair(wantB, 192u));
    EXPECT_EQ(ask({{adapters[0], 0.5f}}).second, 0u) << "another strength computes other pages";
    EXPECT_EQ(ask({{adapters[0], 0.0f}}), std::pair(want, 192u)) << "no strength is the base";
}

TEST_P(Adapted, RequestsDrawnAtRandomAnswerAsTheyDoAlone) {
    for (int round = 0; round < 3; ++round) {
        auto scheduler = startScheduler({.threads = 1 + below(2), .chunk = 16 + below(60)});
        const Tokens common = prompt(150);
        std::vector<GenerationRequest> requests;
        std::vector<Submitted> runs;
        for (int i = 0; i < 12; ++i) {
            Tokens text(common.begin(), common.begin() + below(150));
            const Tokens own = prompt(1 + below(40));
            text.insert(text.end(), own.begin(), own.end());
            if (i > 0 && coin()) text = requests[below(static_cast<uint32_t>(requests.size()))].prompt;
            requests.push_back(request(std::move(text), someUses()));
            requests.back().maxTokens = 1 + below(80);
            runs.push_back(testing::submit(*scheduler, requests.back()));
            if (coin()) runs.back().wait();
        }
        for (const Submitted& run : runs)
            run.wait();  // one scheduler at a time runs a model
        for (size_t i = 0; i < runs.size(); ++i)
            EXPECT_EQ(runs[i].tokens(), alone(requests[i])) << i;
    }
}

TEST_P(Adapted, AnInvokedAdapterGoesOnFromTheBase) {
    const Tokens call = prompt(3), before = prompt(150);
    const Adapter invoked = invokedBy(call);
    auto scheduler = startScheduler();
    testing::submit(*scheduler, request(before, {})).wait();
    Tokens text = before;
    text.insert(text.end(), call.begin(), call.end());
    const Tokens after = prompt(100);
    text.insert(text.end(), after.begin(), after.end());
    const GenerationRequest asked = request(text, {{invoked}});
    const Tokens want = alone(asked);
    const Submitted first = testing::submit(*scheduler, asked);
    EXPECT_EQ(first.tokens(), want);
    EXPECT_EQ(first.usage().cachedTokens, 128u) << "the pages before the call are those of the base";
    const Submitted again = testing::submit(*scheduler, asked);
    EXPECT_EQ(again.tokens(), want);
    EXPECT_EQ(again.usage().cachedTokens, 192u);
    EXPECT_NE(want, alone(request(text, {})));
    EXPECT_NE(want, alone(request(text, {{adapters[0]}}))) << "it does not work before the call";
    const Tokens uncalled = alone(request(before, {}));
    EXPECT_EQ(testing::submit(*scheduler, request(before, {{invoked}})).tokens(), uncalled);
    // The same text with another call later: the last one counts, and what lies between is the base's.
    Tokens later = text;
    later.insert(later.end(), call.begin(), call.end());
    const GenerationRequest twice = request(later, {{invoked}});
    const Tokens wantTwice = alone(twice);
    EXPECT_EQ(testing::submit(*scheduler, twice).tokens(), wantTwice);
}

TEST_P(Adapted, WhatDoesNotFitIsRefused) {
    auto scheduler = startScheduler();
    const auto sentence = [&](GenerationRequest wrong) {
        wrong.onEvent = [](const SequenceEvent&) {};
        const auto refused = scheduler->submit(std::move(wrong));
        EXPECT_FALSE(refused.ok());
        return refused.ok() ? "" : base::render(refused.error());
    };
    GenerationRequest other = request(prompt(3), {{adapters[0]}});
    const auto again = library::loadPath(kModels + GetParam(), "other", {});
    other.model = *again;
    EXPECT_NE(sentence(std::move(other)).find("loaded for another model than other"), std::string::npos);
    EXPECT_NE(sentence(request(prompt(3), {{adapters[0], std::nanf("")}})).find("finite"), std::string::npos);
    EXPECT_NE(sentence(request(prompt(3), {{invokedBy(prompt(2))}, {adapters[0]}})).find("combined"),
              std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Models, Adapted, ::testing::Values("deepseek-v3-tiny", "mixtral-tiny", "qwen2-tiny"),
                         [](const auto& info) { return testing::caseName(info.param); });

}  // namespace
}  // namespace conclave::engine::scheduler
