#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/text/template_budget.h"

namespace conclave::engine::text::jinja {

/// What ends a parse or a rendering early. It travels as an exception inside the interpreter only;
/// ChatTemplate turns it into an Error at its door. Line 0: not known yet, the interpreter fills it in.
struct Failure {
    base::Code code = base::Code::TemplateFailed;
    std::string message;
    uint32_t line = 0;
};

/// The template did what Python would refuse too (a TypeError, an undefined value …).
[[noreturn]] void fail(std::string message);
[[noreturn]] void failSyntax(std::string message, uint32_t line);
[[noreturn]] void failBudget(std::string message);

/// Counts what a rendering uses up and ends it when the budget is spent. Not thread-safe: one per rendering.
class Meter {
  public:
    explicit Meter(const TemplateBudget& budget);

    /// So much work was done; the clock is looked at now and then.
    void step(uint64_t count = 1) {
        used_ += count;
        if (used_ >= nextLook_) look();
    }
    /// A text of so many bytes is about to be made.
    void text(size_t bytes);
    /// A text has grown by `added` to `total` bytes.
    void grown(size_t total, size_t added);
    /// A list of so many items is about to be made.
    void items(size_t count);
    /// Memory held by live values.
    void hold(size_t bytes);
    void release(size_t bytes) { held_ -= bytes; }
    /// What is held now (the input) does not count.
    void forgiveHeld() { heldLimit_ = held_ + liveBytes(); }

    /// Nested evaluation: of syntax, of calls and of values in values.
    class Nesting {
      public:
        explicit Nesting(Meter& meter) : meter_(meter) { meter_.enter(); }
        ~Nesting() { --meter_.depth_; }
        Nesting(const Nesting&) = delete;
        Nesting& operator=(const Nesting&) = delete;

      private:
        Meter& meter_;
    };
    /// Nested calls of macros and recursive loops.
    class Calling {
      public:
        explicit Calling(Meter& meter) : meter_(meter) { meter_.enterCall(); }
        ~Calling() { --meter_.calls_; }
        Calling(const Calling&) = delete;
        Calling& operator=(const Calling&) = delete;

      private:
        Meter& meter_;
    };

    const TemplateBudget& budget() const { return budget_; }

  private:
    void enter();
    void enterCall();
    void look();
    size_t liveBytes() const { return budget_.outputBytes * 8; }

    TemplateBudget budget_;
    std::chrono::steady_clock::time_point deadline_;
    uint64_t used_ = 0;
    uint64_t nextLook_ = 0;
    size_t held_ = 0;
    size_t heldLimit_ = 0;
    uint32_t depth_ = 0;
    uint32_t calls_ = 0;
};

/// Said of source text, of calls and of data that go deeper than the budget.
std::string tooDeep(uint32_t levels);

}  // namespace conclave::engine::text::jinja
