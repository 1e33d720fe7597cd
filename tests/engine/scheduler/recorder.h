#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/utf8.h"
#include "engine/scheduler/scheduler.h"

namespace conclave::engine::testing {

/// Collects what one sequence tells. Shared with the callback, so that it may outlive the test's interest.
class Recorder {
  public:
    void take(const scheduler::SequenceEvent& event) {
        const std::lock_guard lock(mutex_);
        EXPECT_FALSE(finished_) << "an event after Finished";
        EXPECT_TRUE(base::isValidUtf8(event.text)) << "half a character was told";
        tokens_.insert(tokens_.end(), event.tokens.begin(), event.tokens.end());
        if (event.kind == scheduler::SequenceEvent::Kind::Text) {
            EXPECT_FALSE(event.text.empty());
            if (texts_ == 0) firstText_ = std::chrono::steady_clock::now();
            text_ += event.text;
            ++texts_;
        } else {
            finished_ = true;
            last_ = event;
            order_ = ++finishes();
        }
        changed_.notify_all();
    }

    /// The Finished event.
    scheduler::SequenceEvent wait() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return finished_; }))
            << "never finished";
        return last_;
    }
    bool waitForText(size_t bytes) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return text_.size() >= bytes || finished_; });
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    std::vector<base::TokenId> tokens() const {
        const std::lock_guard lock(mutex_);
        return tokens_;
    }
    /// When the first text came.
    std::chrono::steady_clock::time_point firstText() const {
        const std::lock_guard lock(mutex_);
        return firstText_;
    }
    size_t texts() const {
        const std::lock_guard lock(mutex_);
        return texts_;
    }
    /// Place of this Finished among all of the process.
    int order() const { return order_; }

  private:
    static int& finishes() {  // only the scheduler's thread counts
        static int count = 0;
        return count;
    }
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    std::vector<base::TokenId> tokens_;
    size_t texts_ = 0;
    std::chrono::steady_clock::time_point firstText_;
    bool finished_ = false;
    int order_ = 0;
    scheduler::SequenceEvent last_;
};

struct Submitted {
    base::SequenceId id{};
    std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();

    scheduler::SequenceEvent wait() const { return recorder->wait(); }
    /// The whole text, once finished.
    std::string text() const {
        recorder->wait();
        return recorder->text();
    }
    std::vector<base::TokenId> tokens() const {
        recorder->wait();
        return recorder->tokens();
    }
    scheduler::Usage usage() const { return recorder->wait().usage; }
};

inline std::chrono::microseconds median(std::vector<std::chrono::microseconds> times) {
    std::ranges::sort(times);
    return times[times.size() / 2];
}

inline Submitted submit(scheduler::Scheduler& scheduler, scheduler::GenerationRequest request) {
    Submitted out;
    request.onEvent = [recorder = out.recorder](const scheduler::SequenceEvent& event) {
        recorder->take(event);
    };
    auto id = scheduler.submit(std::move(request));
    EXPECT_TRUE(id.ok()) << base::render(id.error());
    if (id.ok()) out.id = *id;
    return out;
}

/// A greedy request for the marker model: one token a byte.
inline scheduler::GenerationRequest requestFor(std::shared_ptr<const library::LoadedModel> model,
                                               const std::string& prompt) {
    scheduler::GenerationRequest request;
    request.owner = base::OwnerId{1000};
    request.model = std::move(model);
    for (char c : prompt)
        request.prompt.push_back(base::TokenId{static_cast<uint8_t>(c)});
    request.sampling.temperature = 0;
    return request;
}

inline std::unique_ptr<scheduler::Scheduler> startScheduler(scheduler::SchedulerOptions options = {}) {
    if (options.threads == 0) options.threads = 1;
    if (options.kvBytes == 0) options.kvBytes = uint64_t{64} << 20;
    auto started = scheduler::Scheduler::start(options);
    EXPECT_TRUE(started.ok()) << base::render(started.error());
    return std::move(started).value();
}

}  // namespace conclave::engine::testing
