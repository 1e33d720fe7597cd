#pragma once

#include <exception>
#include <functional>
#include <future>
#include <map>
#include <mutex>

namespace conclave::engine::library {

/// Work that is done once at a time for each key: who asks for a key that is being worked on waits for the
/// same result instead of doing it again. Thread-safe; what the work throws, all who wait for it throw.
template <class Key, class Value> class OneFlight {
  public:
    Value run(const Key& key, const std::function<Value()>& work) {
        std::promise<Value> mine;
        std::shared_future<Value> theirs;
        {
            const std::lock_guard lock(mutex_);
            const auto [flight, first] = flights_.try_emplace(key);
            if (first)
                flight->second = mine.get_future().share();
            else
                theirs = flight->second;
        }
        if (theirs.valid()) return theirs.get();
        try {
            Value value = work();
            land(key);
            mine.set_value(value);
            return value;
        } catch (...) {
            land(key);
            mine.set_exception(std::current_exception());
            throw;
        }
    }

  private:
    void land(const Key& key) {
        const std::lock_guard lock(mutex_);
        flights_.erase(key);
    }

    std::mutex mutex_;
    std::map<Key, std::shared_future<Value>> flights_;
};

}  // namespace conclave::engine::library
