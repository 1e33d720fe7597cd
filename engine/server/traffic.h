#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace conclave::engine::server {

/// What has come through the door since the start. Thread-safe.
struct Traffic {
    static constexpr std::array<std::string_view, 4> kClasses = {"2xx", "4xx", "5xx", "none"};
    /// By class of status; `none`: the client went away before there was one.
    std::array<std::atomic<uint64_t>, kClasses.size()> responses{};
    std::atomic<uint64_t> connections{0}, refusedConnections{0};
    std::atomic<uint64_t> cutReaders{0};  ///< did not read their stream

    void note(int status) {
        const size_t place = status == 0 ? 3 : status < 400 ? 0 : status < 500 ? 1 : 2;
        ++responses[place];
    }
};

}  // namespace conclave::engine::server
