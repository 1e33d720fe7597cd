// Adapters within a budget: a thousand of them, what makes room for what, and files that are read once.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "engine/library/adapter_shelf.h"
#include "engine/library/one_flight.h"
#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

namespace fs = std::filesystem;
using base::Code;

const std::string kModel = CONCLAVE_SOURCE_DIR "/tests/fixtures/models/mixtral-tiny";

struct AdapterBudgetTest : ::testing::Test {
    testing::TestFolder folder;
    Library library{{}};
    std::shared_ptr<const LoadedModel> base;
    uint64_t each = 0;  ///< bytes of one adapter in memory

    void SetUp() override {
        ::setenv("XDG_DATA_HOME", folder.at("data").c_str(), 1);
        base = *loadPath(kModel, "base", {});
        AdapterShelf shelf(library);
        const auto one = shelf.load(kModel + "/adapters/attention", "one", *base, {});
        ASSERT_TRUE(one.ok()) << base::render(one.error());
        each = shelf.stats().bytes;
        ASSERT_EQ(each, one->adapter->facts->bytes);
        ASSERT_GT(each, 0u);
    }
    void TearDown() override { ::unsetenv("XDG_DATA_HOME"); }

    /// The attention adapter with bytes of its own, below `where`, last changed a minute ago.
    std::string copy(const std::string& where, uint32_t number) const {
        const std::string name = std::string("a") + std::to_string(number);
        const fs::path to = folder.at(where + "/" + name);
        fs::create_directories(to);
        for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
            fs::copy_file(kModel + "/adapters/attention/" + file, to / file,
                          fs::copy_options::overwrite_existing);
        write(to.string(), number);
        return to.string();
    }
    static void write(const std::string& adapter, uint32_t number, bool old = true) {
        std::fstream file(adapter + "/adapter_model.safetensors",
                          std::ios::binary | std::ios::in | std::ios::out);
        const float value = 1e-6f * static_cast<float>(number + 1);
        file.seekp(-4, std::ios::end);
        file.write(reinterpret_cast<const char*>(&value), 4);
        file.close();
        if (!old) return;
        for (const char* part : {"/adapter_config.json", "/adapter_model.safetensors"})
            fs::last_write_time(adapter + part, fs::file_time_type::clock::now() - std::chrono::minutes(1));
    }
    AdapterBudget room(uint64_t adapters) const { return {each * adapters + each / 2, {}}; }
};

TEST_F(AdapterBudgetTest, AThousandTakeTheRoomOfTen) {
    for (uint32_t i = 0; i < 1000; ++i)
        copy("data/conclave/adapters", i);
    AdapterShelf shelf(library, room(10));
    for (uint32_t i = 0; i < 1000; ++i) {
        const auto held = shelf.get("a" + std::to_string(i), *base, {});
        ASSERT_TRUE(held.ok()) << base::render(held.error());
        ASSERT_LE(shelf.stats().bytes, shelf.stats().budget);
    }
    EXPECT_EQ(shelf.list().size(), 1000u);
    EXPECT_EQ(shelf.stats().bytes, each * 10);
    EXPECT_EQ(shelf.stats().evictions, 990u);
    EXPECT_TRUE(shelf.ready("a999", *base));
    EXPECT_FALSE(shelf.ready("a0", *base));
    const auto first = shelf.byName("a0"), again = shelf.byName("a1");
    EXPECT_FALSE(first->loaded);
    const auto back = shelf.get("a0", *base, {});
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->id, first->id) << "one that comes back keeps its number";
    EXPECT_EQ(back->adapter->contentId, first->contentId);
    EXPECT_EQ(shelf.get(again->id, *base, {})->adapter->contentId, again->contentId);
    EXPECT_EQ(shelf.byName("a0")->users, 1u);
}

TEST_F(AdapterBudgetTest, WhatWasUsedLongestAgoMakesRoom) {
    AdapterShelf shelf(library, room(3));
    for (uint32_t i = 0; i < 3; ++i)
        ASSERT_TRUE(shelf.load(copy("x", i), "", *base, {}).ok());
    ASSERT_TRUE(shelf.get("a0", *base, {}).ok());
    ASSERT_TRUE(shelf.load(copy("x", 3), "", *base, {}).ok());
    EXPECT_TRUE(shelf.ready("a0", *base));
    EXPECT_FALSE(shelf.ready("a1", *base));
    EXPECT_TRUE(shelf.ready("a2", *base));
}

TEST_F(AdapterBudgetTest, WhatRequestsHoldStays) {
    AdapterShelf shelf(library, room(2));
    std::vector<HeldAdapter> held;
    for (uint32_t i = 0; i < 2; ++i)
        held.push_back(*shelf.load(copy("x", i), "", *base, {}));
    const auto refused = shelf.load(copy("x", 2), "", *base, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::ServerBusy);
    const std::string sentence = base::render(refused.error());
    EXPECT_TRUE(sentence.starts_with("adapter a2 needs ")) << sentence;
    EXPECT_NE(sentence.find(" for adapters are held by requests that run; try again later"),
              std::string::npos)
        << sentence;
    EXPECT_TRUE(shelf.ready("a0", *base) && shelf.ready("a1", *base)) << "nothing was let go in vain";
    ASSERT_TRUE(shelf.unload("a0").ok());
    EXPECT_EQ(shelf.stats().bytes, each * 2) << "it is taken off, and still at work";
    EXPECT_EQ(shelf.load(copy("x", 2), "", *base, {}).error().code, Code::ServerBusy);
    held.erase(held.begin());
    EXPECT_EQ(shelf.stats().bytes, each);
    EXPECT_TRUE(shelf.load(copy("x", 2), "", *base, {}).ok());
    held.clear();
    EXPECT_TRUE(shelf.load(copy("x", 3), "", *base, {}).ok());
}

TEST_F(AdapterBudgetTest, OneThatIsTooLargeAloneIsRefused) {
    AdapterShelf shelf(library, {each - 1, {}});
    const auto refused = shelf.load(copy("x", 0), "", *base, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::BadArgument);
    EXPECT_TRUE(base::render(refused.error()).starts_with("--adapter-memory: "))
        << base::render(refused.error());
    EXPECT_TRUE(shelf.list().empty());
    EXPECT_EQ(shelf.stats().bytes, 0u);
}

TEST_F(AdapterBudgetTest, ABudgetLeftOpenIsAQuarterOfWhatIsFree) {
    uint64_t free = 4000;
    const AdapterShelf shelf(library, {0, [&free] { return free; }});
    EXPECT_EQ(shelf.stats().budget, 1000u);
    free = 8000;
    EXPECT_EQ(shelf.stats().budget, 1000u);
}

TEST_F(AdapterBudgetTest, OneThatCannotBeReadTakesNoRoom) {
    AdapterShelf shelf(library, room(2));
    const std::string path = copy("x", 0);
    std::fstream file(path + "/adapter_model.safetensors", std::ios::binary | std::ios::in | std::ios::out);
    const float nan = std::nanf("");
    file.seekp(-4, std::ios::end);
    file.write(reinterpret_cast<const char*>(&nan), 4);
    file.close();
    EXPECT_EQ(shelf.load(path, "", *base, {}).error().code, Code::ValueOutOfRange);
    EXPECT_EQ(shelf.stats().bytes, 0u);
    EXPECT_TRUE(shelf.list().empty());
}

TEST_F(AdapterBudgetTest, AGivenPathThatChangedIsNotPassedOffAsTheSame) {
    AdapterShelf shelf(library, room(1));
    const std::string path = copy("x", 0);
    const auto id = shelf.load(path, "mine", *base, {})->id;
    ASSERT_TRUE(shelf.load(copy("x", 1), "", *base, {}).ok());
    ASSERT_FALSE(shelf.ready(id));
    EXPECT_TRUE(shelf.get(id, *base, {}).ok()) << "it has not changed";
    ASSERT_TRUE(shelf.get("a1", *base, {}).ok());
    write(path, 77);
    const auto changed = shelf.get("mine", *base, {});
    ASSERT_FALSE(changed.ok());
    EXPECT_NE(
        base::render(changed.error()).find("has changed since it was loaded; unload it and load it again"),
        std::string::npos);
    fs::remove_all(path);
    EXPECT_EQ(shelf.get(id, *base, {}).error().code, Code::FileNotFound);
    EXPECT_TRUE(shelf.get("a1", *base, {}).ok());
}

TEST_F(AdapterBudgetTest, AnInstalledOneComesBackAsWhatLiesThereNow) {
    const std::string path = copy("data/conclave/adapters", 0);
    AdapterShelf shelf(library, room(1));
    const auto before = shelf.get("a0", *base, {})->adapter->contentId;
    ASSERT_TRUE(shelf.load(copy("x", 1), "", *base, {}).ok());
    write(path, 77);
    const auto after = shelf.get("a0", *base, {});
    ASSERT_TRUE(after.ok());
    EXPECT_NE(after->adapter->contentId, before);
}

TEST_F(AdapterBudgetTest, AnUnchangedFileIsNotReadAgainAndAChangedOneIs) {
    AdapterShelf shelf(library, room(4));
    const std::string path = copy("x", 0);
    ASSERT_TRUE(shelf.load(path, "", *base, {}).ok());
    const std::string weights = path + "/adapter_model.safetensors";
    const auto time = fs::last_write_time(weights);
    write(path, 77, false);
    fs::last_write_time(weights, time);  // nobody sees the change but who reads
    EXPECT_TRUE(shelf.load(path, "", *base, {}).ok());
    fs::last_write_time(weights, time + std::chrono::nanoseconds(1));
    EXPECT_EQ(shelf.load(path, "", *base, {}).error().code, Code::ModelNameTaken);
    EXPECT_EQ(shelf.stats().loads, 2u);
}

TEST_F(AdapterBudgetTest, TheSameContentIsInMemoryOnce) {
    AdapterShelf shelf(library, room(1));
    const std::string path = copy("x", 0);
    uint64_t hashed = 0;
    const auto count = [&hashed](const std::string&, uint64_t, uint64_t) { ++hashed; };
    const auto first = shelf.load(path, "", *base, count);
    ASSERT_TRUE(first.ok());
    EXPECT_GT(hashed, 0u);
    hashed = 0;
    const auto twin = shelf.load(path, "other", *base, count);
    ASSERT_TRUE(twin.ok()) << base::render(twin.error());
    EXPECT_NE(twin->id, first->id);
    EXPECT_EQ(twin->adapter->adapter.get(), first->adapter->adapter.get());
    EXPECT_EQ(hashed, 0u) << "the file has not changed";
    const auto copied = shelf.load(copy("y", 0), "third", *base, {});
    ASSERT_TRUE(copied.ok());
    EXPECT_EQ(copied->adapter->adapter.get(), first->adapter->adapter.get());
    EXPECT_EQ(shelf.stats().loads, 1u);
    EXPECT_EQ(shelf.stats().bytes, each);
}

TEST_F(AdapterBudgetTest, ManyAtOnceReadItOnce) {
    AdapterShelf shelf(library, room(2));
    const std::string path = copy("x", 0);
    std::vector<base::Result<HeldAdapter>> got(8, base::Error{});
    std::vector<std::thread> threads;
    for (auto& one : got)
        threads.emplace_back([&] { one = shelf.load(path, "", *base, {}); });
    for (std::thread& thread : threads)
        thread.join();
    for (const auto& one : got) {
        ASSERT_TRUE(one.ok()) << base::render(one.error());
        EXPECT_EQ(one->id, got[0]->id);
    }
    EXPECT_EQ(shelf.stats().loads, 1u);
    EXPECT_EQ(shelf.byName("a0")->users, 8u);
    got.clear();
    EXPECT_EQ(shelf.byName("a0")->users, 0u);
}

TEST_F(AdapterBudgetTest, ManyAtOnceStayWithinIt) {
    constexpr uint32_t kAdapters = 12, kThreads = 6;
    std::vector<std::string> paths;
    for (uint32_t i = 0; i < kAdapters; ++i)
        paths.push_back(copy("x", i));
    AdapterShelf shelf(library, room(kThreads));
    std::atomic<uint32_t> wrong{0};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            for (uint32_t turn = 0; turn < 40; ++turn) {
                const uint32_t i = (t * 5 + turn * 7) % kAdapters;
                const auto held = shelf.load(paths[i], "", *base, {});
                wrong += !held.ok() || held->adapter->name != "a" + std::to_string(i);
                wrong += shelf.stats().bytes > shelf.stats().budget;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_LE(shelf.stats().bytes, shelf.stats().budget);
}

TEST_F(AdapterBudgetTest, AdaptersOfAModelThatIsGoneGoToo) {
    library.publish(base);
    AdapterShelf shelf(library, room(4));
    ASSERT_TRUE(shelf.load(copy("x", 0), "", *base, {}).ok());
    shelf.dropWithoutModel();
    EXPECT_EQ(shelf.list().size(), 1u);
    ASSERT_TRUE(library.unload("base").ok());
    shelf.dropWithoutModel();
    EXPECT_TRUE(shelf.list().empty());
    EXPECT_EQ(shelf.stats().bytes, 0u);
}

TEST(OneFlight, WaitersGetTheResultAndItsError) {
    OneFlight<int, int> flights;
    std::atomic<int> runs{0}, inside{0};
    std::vector<std::thread> threads;
    std::atomic<int> sum{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            ++inside;
            sum += flights.run(7, [&] {
                ++runs;
                while (inside < 4)
                    std::this_thread::yield();
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
                return 5;
            });
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(sum, 20);
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(flights.run(7, [] { return 6; }), 6) << "nothing is kept";
    EXPECT_THROW(flights.run(7, []() -> int { throw std::runtime_error("x"); }), std::runtime_error);
    EXPECT_EQ(flights.run(7, [] { return 8; }), 8);
}

}  // namespace
}  // namespace conclave::engine::library
