#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace conclave::engine::server {

/// What of a request decides the form of its response.
struct ResponseForm {
    unsigned version = 11;  ///< 10 or 11
    bool keepAlive = true;
    bool headOnly = false;  ///< HEAD: the head of the answer alone
    std::string allow;      ///< 405: value of the Allow header
};

inline constexpr std::string_view kJson = "application/json";

/// Head of a response with a body of `bytes` bytes.
std::string wholeHead(const ResponseForm& form, int status, uint64_t bytes,
                      std::string_view contentType = kJson);

/// Head of a stream of events: in chunks for HTTP/1.1; for HTTP/1.0 it ends with the connection.
std::string streamHead(const ResponseForm& form);
std::string streamPiece(const ResponseForm& form, std::string_view bytes);
std::string streamEnd(const ResponseForm& form);

/// The path of a request target: without query, and without scheme and host where a proxy's form is used.
std::string_view pathOf(std::string_view target);
/// What follows its '?', up to a fragment; empty where there is none.
std::string_view queryOf(std::string_view target);

}  // namespace conclave::engine::server
