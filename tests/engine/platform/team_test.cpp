#include "engine/platform/team.h"

#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>

#include "engine/platform/cgroup.h"

namespace conclave::engine::platform {
namespace {

TEST(Team, EveryWorkerRunsOnceEachTime) {
    for (const size_t threads : {1u, 2u, 5u}) {
        Team team(threads);
        EXPECT_EQ(threads, team.size());
        std::vector<std::atomic<int>> counts(threads);
        for (int round = 0; round < 2000; ++round)
            team.run([&](size_t worker, size_t workers) {
                ASSERT_EQ(threads, workers);
                counts[worker].fetch_add(1, std::memory_order_relaxed);
            });
        for (const auto& count : counts)
            EXPECT_EQ(2000, count.load());
    }
}

TEST(Team, TheCallerIsWorkerZero) {
    Team team(3);
    std::thread::id zero;
    team.run([&](size_t worker, size_t) {
        if (worker == 0) zero = std::this_thread::get_id();
    });
    EXPECT_EQ(std::this_thread::get_id(), zero);
}

TEST(Team, WhatWorkersWroteIsSeenAfterwardsAndByTheNextPiece) {
    Team team(4);
    std::vector<int> values(4, 0);
    for (int round = 1; round <= 500; ++round) {
        team.run([&](size_t worker, size_t workers) {
            values[(worker + static_cast<size_t>(round)) % workers] += 1;
        });
        for (const int value : values)
            ASSERT_EQ(round, value);
        if (round % 100 == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the next piece finds them asleep
    }
}

TEST(Team, AnIdleTeamUsesNoProcessor) {
    Team team(4);
    team.run([](size_t, size_t) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto used = [] {
        timespec now{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
    };
    const double before = used();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LT(used() - before, 0.005);
}

TEST(Share, DealsEverythingOnceInOrder) {
    for (const size_t count : {0u, 1u, 7u, 64u, 100u, 1000u})
        for (const size_t workers : {1u, 2u, 3u, 16u})
            for (const size_t grain : {1u, 4u, 32u}) {
                size_t next = 0, least = count, most = 0;
                for (size_t worker = 0; worker < workers; ++worker) {
                    const Range range = share(count, worker, workers, grain);
                    EXPECT_EQ(next, range.begin);
                    EXPECT_LE(range.begin, range.end);
                    EXPECT_TRUE(range.end == count || range.end % grain == 0);
                    least = std::min(least, range.end - range.begin);
                    most = std::max(most, range.end - range.begin);
                    next = range.end;
                }
                EXPECT_EQ(count, next);
                EXPECT_LE(most - least, 2 * grain - 1);
            }
}

TEST(Threads, FollowTheAffinityMask) {
    const size_t all = availableThreads();
    EXPECT_GE(all, 1u);
    EXPECT_GE(defaultThreads(), 1u);
    EXPECT_LE(defaultThreads(), all);
    size_t pinned = 0, pinnedDefault = 0;
    std::thread([&] {
        cpu_set_t set;
        ASSERT_EQ(0, sched_getaffinity(0, sizeof set, &set));
        int first = 0;
        while (!CPU_ISSET(first, &set))
            ++first;
        CPU_ZERO(&set);
        CPU_SET(first, &set);
        ASSERT_EQ(0, sched_setaffinity(0, sizeof set, &set));
        pinned = availableThreads();
        pinnedDefault = defaultThreads();
    }).join();
    EXPECT_EQ(1u, pinned);
    EXPECT_EQ(1u, pinnedDefault);
}

/// A made-up /proc and /sys.
class FakeRoot : public testing::Test {
  protected:
    void SetUp() override {
        root_ = testing::TempDir() + "cgroup_" + std::to_string(getpid()) + "_" +
                testing::UnitTest::GetInstance()->current_test_info()->name();
    }
    void TearDown() override { std::filesystem::remove_all(root_); }
    void put(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    std::string root_;
};

TEST_F(FakeRoot, Version2TakesTheTightestOfTheGroupAndItsParents) {
    put("/proc/self/cgroup", "0::/user.slice/app.scope\n");
    put("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/user.slice/app.scope/memory.max", "8000000\n");
    put("/sys/fs/cgroup/user.slice/app.scope/memory.current", "3000000\n");
    put("/sys/fs/cgroup/user.slice/app.scope/memory.stat", "anon 2000000\ninactive_file 1000000\n");
    put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
    const CgroupLimits limits = cgroupLimits(root_);
    EXPECT_EQ(2.5, limits.processors.value());
    EXPECT_EQ(8000000u, limits.memory.value());
    EXPECT_EQ(6000000u, limits.memoryLeft.value());
}

TEST_F(FakeRoot, Version1InAContainerReadsTheMount) {
    put("/proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "5000000\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "9000000\n");
    const CgroupLimits limits = cgroupLimits(root_);
    EXPECT_EQ(1.5, limits.processors.value());
    EXPECT_EQ(5000000u, limits.memory.value());
    EXPECT_EQ(0u, limits.memoryLeft.value());
}

TEST_F(FakeRoot, NoLimitIsNoLimit) {
    put("/proc/self/cgroup", "3:cpu:/\n4:memory:/\n0::/\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    const CgroupLimits limits = cgroupLimits(root_);
    EXPECT_FALSE(limits.processors.has_value());
    EXPECT_FALSE(limits.memory.has_value());
    EXPECT_FALSE(cgroupLimits(root_ + "/nowhere").processors.has_value());
}

}  // namespace
}  // namespace conclave::engine::platform
