#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::protocol {

/// One server-sent event, framed (WHATWG HTML, 9.2). `event` may be empty; `data` must not hold a line break,
/// which the JSON of this room never does.
std::string sseFrame(std::string_view event, std::string_view data);

struct SseEvent {
    std::string event;  ///< empty where none was named
    std::string data;
};

/// Cuts a byte stream into events, wherever the pieces break. Lines end with LF, CR or CRLF; comments are
/// dropped. Not thread-safe.
class SseParser {
  public:
    /// Appends bytes; returns the events that became whole. More than `limitBytes` without a whole event sets
    /// overflowed().
    std::vector<SseEvent> push(std::string_view bytes);
    bool overflowed() const { return overflowed_; }

    static constexpr size_t kLimitBytes = size_t{64} << 20;

  private:
    void line(std::string_view text, std::vector<SseEvent>& out);

    std::string held_;
    SseEvent next_;
    bool hasData_ = false, skipLf_ = false, overflowed_ = false;
};

}  // namespace conclave::engine::protocol
