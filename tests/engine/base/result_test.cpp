#include "engine/base/result.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace conclave::engine::base {
namespace {

Result<int> half(int value) {
    if (value % 2 != 0) return Error{Code::OutOfRange, "", "value", {std::to_string(value), "even"}};
    return value / 2;
}

Result<std::unique_ptr<int>> quarter(int value) {
    CONCLAVE_TRY(const int first, half(value));
    CONCLAVE_TRY(const int second, half(first));
    return std::make_unique<int>(second);
}

Result<void> needsEven(int value) {
    CONCLAVE_TRY_VOID(half(value).ok() ? Result<void>() : Result<void>(half(value).error()));
    return {};
}

TEST(Result, CarriesAValueThatCanOnlyBeMoved) {
    auto result = quarter(8);
    ASSERT_TRUE(result.ok());
    const std::unique_ptr<int> value = std::move(result).value();
    EXPECT_EQ(*value, 2);
}

TEST(Result, TryReturnsTheFirstError) {
    const auto result = quarter(6);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::OutOfRange);
    EXPECT_EQ(result.error().args[0], "3");
}

TEST(Result, OfNothingIsGoodUnlessAnErrorWasGiven) {
    EXPECT_TRUE(needsEven(2).ok());
    EXPECT_FALSE(needsEven(1).ok());
}

TEST(ResultDeathTest, ABrokenPromiseEndsTheProcessWithItsPlace) {
    EXPECT_DEATH(CONCLAVE_CHECK(1 + 1 == 3), "result_test.cpp.*check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace conclave::engine::base
