#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <variant>

#include "engine/base/error.h"

namespace conclave::engine::base {

/// A value, or the Error that says why there is none. For what the outside world can cause; our own bugs are
/// CONCLAVE_CHECKs. value() of a failed result and error() of a good one end the process.
template <class T> class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const& { return std::get<1>(state_); }
    Error&& error() && { return std::get<1>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

/// Done, or the Error that says why not.
template <> class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    const Error& error() const& { return *error_; }
    Error&& error() && { return *std::move(error_); }

  private:
    std::optional<Error> error_;
};

/// Ends the process with the place of the broken promise; for our own bugs only.
[[noreturn]] inline void checkFailed(const char* what, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    std::abort();
}

}  // namespace conclave::engine::base

/// A promise between our own functions. Always on: it is never placed in an inner loop.
#define CONCLAVE_CHECK(condition)                                                                            \
    ((condition) ? static_cast<void>(0)                                                                      \
                 : ::conclave::engine::base::checkFailed(#condition, __FILE__, __LINE__))

#define CONCLAVE_JOIN2(a, b) a##b
#define CONCLAVE_JOIN(a, b) CONCLAVE_JOIN2(a, b)

/// CONCLAVE_TRY(auto file, open(path)): the value, or return the error from the enclosing function.
#define CONCLAVE_TRY(declaration, ...)                                                                       \
    auto CONCLAVE_JOIN(tried_, __LINE__) = (__VA_ARGS__);                                                    \
    if (!CONCLAVE_JOIN(tried_, __LINE__).ok()) return std::move(CONCLAVE_JOIN(tried_, __LINE__)).error();    \
    declaration = std::move(CONCLAVE_JOIN(tried_, __LINE__)).value()

/// CONCLAVE_TRY_VOID(check(x)): go on, or return the error from the enclosing function.
#define CONCLAVE_TRY_VOID(...)                                                                               \
    do {                                                                                                     \
        auto tried_ = (__VA_ARGS__);                                                                         \
        if (!tried_.ok()) return std::move(tried_).error();                                                  \
    } while (false)
