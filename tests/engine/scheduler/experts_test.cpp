// What the routers chose: the log by itself, and what the loop writes into it.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/scheduler/scheduler.h"
#include "tests/engine/library/folder.h"
#include "tests/engine/scheduler/recorder.h"

namespace conclave::engine::scheduler {
namespace {

using namespace std::chrono_literals;
using testing::startScheduler;
using Time = std::chrono::steady_clock::time_point;
using Counts = std::vector<uint32_t>;

constexpr base::OwnerId kAnn{1000}, kBob{1001};
const Time kBegin{1000h};

/// Two layers of which the second has four experts; 2 of them are chosen.
library::LoadedModel modelNamed(const std::string& name, const std::string& contentId = "content") {
    auto model = std::make_shared<model::Model>();
    model->config.layers = 2;
    model->config.moeLayer = {0, 1};
    model->config.experts = 4;
    model->config.chosenExperts = 2;
    library::LoadedModel out;
    out.name = name;
    out.contentId = contentId;
    out.model = std::move(model);
    return out;
}

struct Entry {
    base::OwnerId owner = kAnn;
    std::string conversation{};
    std::vector<std::string> adapters{};
    uint64_t tokens = 10;
    std::chrono::seconds at{0};  ///< when it ended; it took one second
    Counts counts = {5, 5, 5, 5};
};

void add(ExpertLog& log, const library::LoadedModel& model, const Entry& entry) {
    auto record = std::make_shared<ExpertRecord>();
    record->owner = entry.owner;
    record->conversation = entry.conversation;
    record->adapters = entry.adapters;
    record->tokens = entry.tokens;
    record->began = kBegin + entry.at - 1s;
    record->ended = kBegin + entry.at;
    record->counts = model::ExpertCounts(model.model->config);
    std::ranges::copy(entry.counts, record->counts.layer(0).begin());
    log.add(model, std::move(record));
}

uint64_t tokensOf(const ExpertLog& log, const library::LoadedModel& model, const ExpertQuery& query) {
    return log.read(model, query, kBegin + 100s).tokens;
}

TEST(ExpertLog, AWindowHoldsWholeRecordsAndSaysHowMuchItCovers) {
    ExpertLog log(1 << 20);
    const auto model = modelNamed("m");
    add(log, model, {.at = 10s, .counts = {20, 0, 0, 0}});
    add(log, model, {.at = 20s, .counts = {0, 20, 0, 0}});
    add(log, model, {.at = 30s, .counts = {0, 0, 19, 1}});
    const ExpertWindow two = log.read(model, {.tokens = 11}, kBegin + 31s);
    EXPECT_EQ(two.tokens, 20u);
    EXPECT_DOUBLE_EQ(two.seconds, 12);
    EXPECT_EQ(two.experts, 4u);
    EXPECT_EQ(two.chosen, 2u);
    ASSERT_EQ(two.layers.size(), 1u);
    EXPECT_EQ(two.layers[0].layer, 1u);
    EXPECT_EQ(two.layers[0].counts, (Counts{0, 20, 19, 1}));
    EXPECT_EQ(tokensOf(log, model, {.tokens = 10}), 10u);
    EXPECT_EQ(tokensOf(log, model, {.tokens = 1000}), 30u);
    EXPECT_EQ(tokensOf(log, model, {.last = 70s}), 10u) << "those that ended 70 s ago or later";
    EXPECT_EQ(tokensOf(log, model, {.last = 80s}), 20u);
    EXPECT_EQ(tokensOf(log, model, {.last = 69s}), 0u);
    EXPECT_EQ(tokensOf(log, model, {.tokens = 15, .last = 300s}), 20u);
}

TEST(ExpertLog, EachConditionCounts) {
    ExpertLog log(1 << 20);
    const auto model = modelNamed("m");
    add(log, model, {.owner = kAnn, .conversation = "letters", .tokens = 1});
    add(log, model, {.owner = kAnn, .conversation = "code", .adapters = {"legal", "terse"}, .tokens = 2});
    add(log, model, {.owner = kBob, .conversation = "letters", .adapters = {"legal"}, .tokens = 4});
    EXPECT_EQ(tokensOf(log, model, {}), 7u) << "of all owners";
    EXPECT_EQ(tokensOf(log, model, {.owner = kAnn}), 3u);
    EXPECT_EQ(tokensOf(log, model, {.owner = kBob}), 4u);
    EXPECT_EQ(tokensOf(log, model, {.owner = base::OwnerId{7}}), 0u);
    EXPECT_EQ(tokensOf(log, model, {.owner = kAnn, .conversation = "letters"}), 1u);
    EXPECT_EQ(tokensOf(log, model, {.owner = kAnn, .adapter = "legal"}), 2u);
    EXPECT_EQ(tokensOf(log, model, {.owner = kAnn, .adapter = "terse"}), 2u);
    EXPECT_EQ(tokensOf(log, model, {.owner = kAnn, .adapter = ""}), 1u) << "without any adapter";
    EXPECT_EQ(tokensOf(log, model, {.owner = kBob, .conversation = "code"}), 0u);
    EXPECT_EQ(tokensOf(log, modelNamed("other"), {}), 0u);
}

TEST(ExpertLog, KeepsToItsBudgetForEachModelAndForgetsTheOldest) {
    ExpertLog log(4096);
    const auto one = modelNamed("one"), two = modelNamed("two");
    add(log, two, {.tokens = 1});
    for (int i = 0; i < 1000; ++i)
        add(log, one, {.tokens = static_cast<uint64_t>(1000 + i)});
    EXPECT_LE(log.bytes(), 2 * 4096u);
    EXPECT_EQ(tokensOf(log, two, {}), 1u) << "another model's records are not at risk";
    const ExpertWindow window = log.read(one, {}, kBegin);
    EXPECT_GE(window.tokens, 3 * 1990u);
    EXPECT_LT(window.tokens, 100 * 2000u);
    EXPECT_EQ(tokensOf(log, one, {.tokens = 1}), 1999u) << "the newest";
    ExpertLog tiny(1);
    add(tiny, one, {.tokens = 3});
    add(tiny, one, {.tokens = 4});
    EXPECT_EQ(tokensOf(tiny, one, {}), 4u) << "one record always stays";
}

TEST(ExpertLog, AnotherModelUnderTheNameBeginsAnew) {
    ExpertLog log(1 << 20);
    const auto before = modelNamed("m", "before");
    auto after = modelNamed("m", "after");
    add(log, before, {.tokens = 3});
    EXPECT_EQ(tokensOf(log, after, {}), 0u);
    add(log, after, {.tokens = 4});
    EXPECT_EQ(tokensOf(log, after, {}), 4u);
    EXPECT_EQ(tokensOf(log, before, {}), 0u);
    after.model.reset();
    const uint64_t held = log.bytes();
    add(log, modelNamed("n"), {});
    EXPECT_LE(log.bytes(), held) << "records of a model that is gone make room";
}

TEST(ExpertLog, IsReadWhileItIsWritten) {
    ExpertLog log(1 << 14);
    const auto model = modelNamed("m");
    std::atomic<bool> over{false};
    std::thread writer([&] {
        for (int i = 0; i < 3000; ++i)
            add(log, model, {});
        over = true;
    });
    uint64_t reads = 0;
    while (!over || reads == 0) {
        const ExpertWindow window = log.read(model, {.owner = kAnn}, kBegin);
        EXPECT_EQ(window.layers[0].picks, 2 * window.tokens);
        ++reads;
    }
    writer.join();
}

// --- what the loop writes ---

struct LoopExperts : ::testing::Test {
    static std::shared_ptr<const library::LoadedModel> load(const std::string& name) {
        const testing::TestFolder folder;  // keeps the cache of hashes
        auto loaded = library::loadPath(CONCLAVE_SOURCE_DIR "/tests/fixtures/models/" + name, "", {});
        EXPECT_TRUE(loaded.ok()) << base::render(loaded.error());
        library::LoadedModel endless = **loaded;
        endless.endTokens.clear();
        return std::make_shared<const library::LoadedModel>(std::move(endless));
    }
    std::shared_ptr<const library::LoadedModel> model = load("olmoe-tiny");

    GenerationRequest request(base::OwnerId owner, const std::string& conversation, uint32_t tokens) const {
        GenerationRequest out = testing::requestFor(model, "");
        for (uint32_t i = 0; i < 100; ++i)
            out.prompt.push_back(base::TokenId{static_cast<int32_t>((i * 7 + base::toInt(owner)) % 90 + 3)});
        out.owner = owner;
        out.conversation = conversation;
        out.maxTokens = tokens;
        return out;
    }
    /// Counts of these tokens in one step of a forward pass of their own.
    std::vector<Counts> alone(const std::vector<base::TokenId>& tokens) const {
        platform::Team team(1);
        const size_t pages = tokens.size() / 64 + 1;
        auto memory = platform::Memory::allocate(pages * model->model->kv.pageBytes, "pages");
        std::vector<std::byte*> data;
        for (size_t page = 0; page < pages; ++page)
            data.push_back(memory->data() + page * model->model->kv.pageBytes);
        model::ExpertCounts counts(model->model->config);
        model::Step step;
        step.slices.push_back({.tokens = tokens, .pages = data, .counts = &counts});
        EXPECT_EQ(model->model->forward(step, team), model::StepOutcome::Done);
        std::vector<Counts> out;
        for (uint32_t layer = 0; layer < counts.layers(); ++layer)
            out.emplace_back(counts.layer(layer).begin(), counts.layer(layer).end());
        return out;
    }
};

TEST_F(LoopExperts, AreThoseOfTheTokensThatWereComputed) {
    auto scheduler = startScheduler({.threads = 1, .chunk = 33});
    const GenerationRequest wish = request(kAnn, "", 20);
    const auto answer = testing::submit(*scheduler, wish);
    std::vector<base::TokenId> computed = wish.prompt;
    const std::vector<base::TokenId> generated = answer.tokens();
    ASSERT_EQ(generated.size(), 20u);
    computed.insert(computed.end(), generated.begin(), generated.end() - 1);  // the last is never computed
    const ExpertWindow window = scheduler->experts(*model, {.owner = kAnn});
    EXPECT_EQ(window.tokens, 119u);
    EXPECT_LT(window.seconds, 60);
    scheduler.reset();  // one thread at a time may run the model
    const std::vector<Counts> want = alone(computed);
    ASSERT_EQ(window.layers.size(), want.size());
    for (size_t layer = 0; layer < want.size(); ++layer) {
        EXPECT_EQ(window.layers[layer].counts, want[layer]) << layer;
        EXPECT_EQ(window.layers[layer].picks, 119u * window.chosen);
        EXPECT_TRUE(window.layers[layer].floor.has_value());
    }
}

TEST_F(LoopExperts, OwnersAndConversationsAreApartThoughTheyShareSteps) {
    auto scheduler = startScheduler();
    const auto ann = testing::submit(*scheduler, request(kAnn, "letters", 30));
    const auto code = testing::submit(*scheduler, request(kAnn, "code", 10));
    const auto bob = testing::submit(*scheduler, request(kBob, "letters", 30));
    for (const auto* answer : {&ann, &code, &bob})
        answer->wait();
    const auto tokens = [&](const ExpertQuery& query) { return scheduler->experts(*model, query).tokens; };
    EXPECT_EQ(tokens({.owner = kAnn, .conversation = "letters"}), 129u);
    EXPECT_EQ(tokens({.owner = kBob}), 129u);
    EXPECT_EQ(tokens({.owner = kBob, .conversation = "code"}), 0u);
    const uint64_t shared = code.usage().cachedTokens;  // of Ann's first prompt
    EXPECT_EQ(tokens({.owner = kAnn, .conversation = "code"}), 109u - shared);
    EXPECT_EQ(tokens({}), 129u + 129u + 109u - shared);
}

TEST_F(LoopExperts, CachedTokensAreNotRoutedAgain) {
    auto scheduler = startScheduler();
    testing::submit(*scheduler, request(kAnn, "first", 1)).wait();
    testing::submit(*scheduler, request(kAnn, "again", 1)).wait();
    EXPECT_EQ(scheduler->experts(*model, {.owner = kAnn, .conversation = "first"}).tokens, 100u);
    EXPECT_EQ(scheduler->experts(*model, {.owner = kAnn, .conversation = "again"}).tokens, 36u);
}

TEST_F(LoopExperts, AreSeenWhileASequenceRuns) {
    auto scheduler = startScheduler();
    GenerationRequest wish = request(kAnn, "", 20000);
    wish.prompt.resize(5);
    wish.maxTokens.reset();
    const auto endless = testing::submit(*scheduler, wish);
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    bool seen = false, over = false;
    while (!seen && !over && std::chrono::steady_clock::now() < deadline) {
        over = scheduler->sequences(kAnn).empty();
        seen = scheduler->experts(*model, {.owner = kAnn}).tokens > 0;
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_TRUE(seen);
    scheduler->cancel(endless.id);
    endless.wait();
    EXPECT_GT(scheduler->metrics().countingNanoseconds, 0u);
    const double counting = static_cast<double>(scheduler->metrics().countingNanoseconds) * 1e-9;
    EXPECT_LT(counting, scheduler->metrics().step.read().sum);
}

TEST_F(LoopExperts, ADenseModelHasNone) {
    model = load("llama-tiny");
    auto scheduler = startScheduler();
    testing::submit(*scheduler, request(kAnn, "", 3)).wait();
    const ExpertWindow window = scheduler->experts(*model, {.owner = kAnn});
    EXPECT_EQ(window.tokens, 0u);
    EXPECT_EQ(window.experts, 0u);
    EXPECT_TRUE(window.layers.empty());
}

}  // namespace
}  // namespace conclave::engine::scheduler
