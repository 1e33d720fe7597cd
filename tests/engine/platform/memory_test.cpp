#include "engine/platform/memory.h"

#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace conclave::engine::platform {
namespace {

TEST(Memory, IsZeroedAlignedAndWritable) {
    for (const size_t bytes :
         {size_t{1}, size_t{4096}, size_t{100001}, (size_t{2} << 20) + 5, size_t{7} << 20}) {
        auto made = Memory::allocate(bytes, "test");
        ASSERT_TRUE(made.ok());
        const Memory& memory = made.value();
        EXPECT_EQ(bytes, memory.size());
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(memory.data()) %
                          (bytes >= size_t{2} << 20 ? size_t{2} << 20 : 64));
        for (const std::byte b : memory.bytes())
            ASSERT_EQ(std::byte{0}, b);
        std::memset(memory.data(), 0x5a, bytes);
    }
}

TEST(Memory, NothingIsAnAnswerToNothing) {
    auto made = Memory::allocate(0, "test");
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(0u, made.value().size());
}

TEST(Memory, MovesLeaveNothingBehind) {
    Memory first = Memory::allocate(5000, "test").value();
    std::byte* at = first.data();
    Memory second = std::move(first);
    EXPECT_EQ(at, second.data());
    EXPECT_EQ(nullptr, first.data());
    Memory third;
    third = std::move(second);
    EXPECT_EQ(at, third.data());
    EXPECT_EQ(0u, second.size());
}

TEST(Memory, RefusesWhatIsNotThere) {
    for (const size_t bytes : {static_cast<size_t>(totalMemory()) * 2, std::numeric_limits<size_t>::max()}) {
        const auto refused = Memory::allocate(bytes, "the weights");
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(base::Code::OutOfMemory, refused.error().code);
        const std::string text = render(refused.error());
        EXPECT_NE(std::string::npos, text.find("the weights")) << text;
        EXPECT_NE(std::string::npos, text.find("GiB")) << text;
    }
}

TEST(Memory, CountsWhatWasPromisedAndNeverTouched) {
    // Two thirds of what is there, twice: the system would promise both.
    const auto most = static_cast<size_t>(availableMemory() / 3 * 2);
    const auto first = Memory::allocate(most, "first");
    ASSERT_TRUE(first.ok());
    EXPECT_FALSE(Memory::allocate(most, "second").ok());
}

TEST(Memory, TheHookFailsTheNthAllocation) {
    failAllocationAfter(2);
    EXPECT_TRUE(Memory::allocate(10, "one").ok());
    const auto second = Memory::allocate(10, "two");
    EXPECT_TRUE(Memory::allocate(10, "three").ok());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(base::Code::OutOfMemory, second.error().code);
    failAllocationAfter(1);
    failAllocationAfter(0);
    EXPECT_TRUE(Memory::allocate(10, "four").ok());
}

TEST(Memory, TheMachineHasSome) {
    EXPECT_GT(availableMemory(), uint64_t{1} << 20);
    EXPECT_GE(totalMemory(), availableMemory());
}

}  // namespace
}  // namespace conclave::engine::platform
