#include "engine/protocol/sse.h"

#include <algorithm>

#include "engine/base/result.h"

namespace conclave::engine::protocol {

std::string sseFrame(std::string_view event, std::string_view data) {
    CONCLAVE_CHECK(data.find_first_of("\r\n") == std::string_view::npos);
    std::string out;
    out.reserve(event.size() + data.size() + 20);
    if (!event.empty()) out.append("event: ").append(event).append("\n");
    out.append("data: ").append(data).append("\n\n");
    return out;
}

std::vector<SseEvent> SseParser::push(std::string_view bytes) {
    std::vector<SseEvent> out;
    while (!bytes.empty() && !overflowed_) {
        if (skipLf_ && bytes.front() == '\n') bytes.remove_prefix(1);
        skipLf_ = false;
        const size_t end = bytes.find_first_of("\r\n");
        held_.append(bytes.substr(0, end));
        if (held_.size() + next_.data.size() > kLimitBytes) overflowed_ = true;
        if (end == std::string_view::npos) break;
        skipLf_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        line(held_, out);
        held_.clear();
    }
    return out;
}

void SseParser::line(std::string_view text, std::vector<SseEvent>& out) {
    if (text.empty()) {
        if (hasData_) out.push_back(std::move(next_));
        next_ = {};
        hasData_ = false;
        return;
    }
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string_view field = text.substr(0, colon);
    std::string_view value = text.substr(std::min(colon + 1, text.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
        if (hasData_) next_.data.push_back('\n');
        next_.data.append(value);
        hasData_ = true;
    } else if (field == "event") {
        next_.event = value;
    }
}

}  // namespace conclave::engine::protocol
