#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace conclave::engine::client {

/// Reads one HTTP/1.1 response (RFC 9112) from bytes as they come: head, then a body with a length, in
/// chunks, or up to the end of the connection. Interim 1xx responses are passed over. Not thread-safe.
class HttpResponse {
  public:
    /// Takes bytes; appends what they say of the body to `body`. Errors: EngineProtocol.
    base::Result<void> feed(std::string_view bytes, std::string& body);
    /// The connection was closed. True where the response is whole.
    bool finish();

    bool headDone() const { return state_ != State::Head; }
    bool done() const { return state_ == State::Done; }
    int status() const { return status_; }
    /// By lower-case name; empty where there is none.
    std::string header(const std::string& name) const;

  private:
    enum class State : uint8_t { Head, Length, ChunkSize, ChunkData, ChunkEnd, Trailer, UntilClose, Done };

    base::Result<void> parseHead(std::string_view head);
    base::Result<void> parseChunkSize(std::string_view line);
    /// Takes bytes of the body as far as they go.
    void takeBody(std::string_view& bytes, std::string& body);

    State state_ = State::Head;
    std::string held_;   ///< an unfinished head or line
    uint64_t left_ = 0;  ///< of the body or the chunk
    int status_ = 0;
    std::map<std::string, std::string> headers_;
};

}  // namespace conclave::engine::client
