#pragma once

#include <chrono>
#include <cstddef>

namespace conclave::engine::server {

/// What one client may use up before it is refused or cut off; nobody else notices.
struct Limits {
    size_t headerBytes = 16 * 1024;
    size_t bodyBytes = size_t{32} << 20;
    size_t connections = 256;
    size_t queuedBytes = size_t{1} << 20;      ///< of a stream that its reader does not take
    std::chrono::milliseconds header{10'000};  ///< from the first byte of a request to the end of its head
    std::chrono::milliseconds body{60'000};    ///< from there to the end of its body
    std::chrono::milliseconds idle{75'000};    ///< between requests
    std::chrono::milliseconds write{60'000};   ///< without a byte taken
};

}  // namespace conclave::engine::server
