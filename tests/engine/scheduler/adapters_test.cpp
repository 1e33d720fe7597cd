// Requests with different adapters and router options, at once and one after the other: nobody's cache speaks
// for another.
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
        out.maxTokens = 70;    // more than a page
        out.ignoreEnd = true;  // an early end would make answers equal that are not
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
    bool hasExperts() const { return model->model->config.experts > 0; }
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
            requests.back().router = router();
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

TEST_P(Adapted, RouterOptionsHavePagesOfTheirOwn) {
    if (!hasExperts()) GTEST_SKIP() << "a dense model has no routers";
    auto scheduler = startScheduler();
    const Tokens text = prompt(200);
    const auto asked = [&](const model::RouterOptions& router, std::vector<AdapterUse> uses = {}) {
        GenerationRequest out = request(text, std::move(uses));
        out.router = router;
        return out;
    };
    const auto ask = [&](const GenerationRequest& request) {
        const Submitted run = testing::submit(*scheduler, request);
        const Tokens tokens = run.tokens();
        return std::pair(tokens, run.usage().cachedTokens);
    };
    const uint32_t trained = model->model->config.chosenExperts;
    const model::RouterOptions steered{.active = 1, .biases = {{{}, 0, 1.0f}, {{}, 1, -1.0f}}};
    const model::RouterOptions inOtherWords{
        .active = 1, .biases = {{{}, 1, -1.0f}, {{}, 2, 0.0f}, {{}, 0, 0.5f}, {{}, 0, 0.5f}}};
    const std::vector<AdapterUse> adapter{{adapters[0]}};
    const Tokens want = alone(asked({})), wantSteered = alone(asked(steered)),
                 wantBoth = alone(asked(steered, adapter));
    EXPECT_NE(want, wantSteered);
    EXPECT_EQ(ask(asked({})), std::pair(want, 0u));
    EXPECT_EQ(ask(asked(steered)), std::pair(wantSteered, 0u));
    EXPECT_EQ(ask(asked(steered, adapter)), std::pair(wantBoth, 0u));
    EXPECT_EQ(ask(asked({}, adapter)).second, 0u);
    EXPECT_EQ(ask(asked({.active = trained})), std::pair(want, 192u)) << "as trained, said aloud";
    EXPECT_EQ(ask(asked(inOtherWords)), std::pair(wantSteered, 192u));
    EXPECT_EQ(ask(asked(steered, adapter)), std::pair(wantBoth, 192u));
    EXPECT_EQ(ask(asked({.floor = 0.5f})).second, 0u);
    EXPECT_EQ(ask(asked({.temperature = 0.5f})).second, 0u);
}

TEST_P(Adapted, AnInvokedAdapterWithRouterOptionsGoesOnFromTheirPages) {
    if (!hasExperts()) GTEST_SKIP() << "a dense model has no routers";
    const Tokens call = prompt(3), before = prompt(150);
    const Adapter invoked = invokedBy(call);
    Tokens text = before;
    text.insert(text.end(), call.begin(), call.end());
    GenerationRequest base = request(before, {}), asked = request(text, {{invoked}});
    base.router = asked.router = {.active = 1};
    const Tokens want = alone(asked);
    auto scheduler = startScheduler();
    testing::submit(*scheduler, request(before, {})).wait();
    const Submitted first = testing::submit(*scheduler, asked);
    EXPECT_EQ(first.tokens(), want);
    EXPECT_EQ(first.usage().cachedTokens, 0u) << "the base's pages are those of another router";
    auto other = startScheduler();
    testing::submit(*other, base).wait();
    const Submitted second = testing::submit(*other, asked);
    EXPECT_EQ(second.tokens(), want);
    EXPECT_EQ(second.usage().cachedTokens, 128u);
}

TEST_P(Adapted, UnderACapNoPageIsUsedAgain) {
    model::LoadOptions options;
    options.expertCap = 1.25f;
    load(kModels + GetParam(), "", options);
    auto scheduler = startScheduler();
    GenerationRequest asked = request(prompt(200), {});
    asked.model = model;
    testing::submit(*scheduler, asked).wait();
    EXPECT_EQ(testing::submit(*scheduler, asked).usage().cachedTokens, hasExperts() ? 0u : 192u);
    EXPECT_EQ(scheduler->stats().cachedPages > 0, !hasExperts());
}

TEST_P(Adapted, AnInvokedAdapterGoesOnFromTheBase) {
    const Tokens call = prompt(3), before = prompt(150);
    const Adapter invoked = invokedBy(call);
    auto scheduler = startScheduler();
    testing::submit(*scheduler, request(before, {})).wait();
    Tokens text = before;
    text.insert(text.end(), call.begin(), call.end());
    const Tokens after = prompt(60);  // the context ends 43 tokens behind it
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
    GenerationRequest steered = request(prompt(3), {});
    steered.router.active = 1000;
    EXPECT_NE(sentence(std::move(steered)).find(hasExperts() ? "router.active: 1000" : "is a dense model"),
              std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Models, Adapted, ::testing::Values("deepseek-v3-tiny", "mixtral-tiny", "qwen2-tiny"),
                         [](const auto& info) { return testing::caseName(info.param); });

}  // namespace
}  // namespace conclave::engine::scheduler
