#include "engine/client/http_response.h"

#include <algorithm>
#include <charconv>

namespace conclave::engine::client {
namespace {

constexpr size_t kHeadLimit = 64 * 1024;
constexpr size_t kLineLimit = 4096;

base::Error unexpected(const std::string& what) {
    return {base::Code::EngineProtocol, {}, {}, {what}};
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class Number> bool parseWhole(std::string_view text, int base, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
    const auto at = headers_.find(name);
    return at == headers_.end() ? std::string() : at->second;
}

base::Result<void> HttpResponse::parseHead(std::string_view head) {
    size_t end = head.find("\r\n");
    const std::string_view first = head.substr(0, end);
    if (!first.starts_with("HTTP/1.") || first.size() < 12 || first[8] != ' ' ||
        !parseWhole(first.substr(9, 3), 10, status_))
        return unexpected("no HTTP response; something else listens on this socket");
    headers_.clear();
    while (end != std::string_view::npos) {
        head.remove_prefix(end + 2);
        end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        if (line.empty()) continue;
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) return unexpected("a header without a colon");
        headers_[lower(line.substr(0, colon))] = std::string(trimmed(line.substr(colon + 1)));
    }
    if (status_ / 100 == 1) return {};  // an interim response; the next head follows
    left_ = 0;
    if (status_ == 204 || status_ == 304) {
        state_ = State::Done;
    } else if (lower(header("transfer-encoding")) == "chunked") {
        state_ = State::ChunkSize;
    } else if (headers_.contains("content-length")) {
        if (!parseWhole(std::string_view(headers_["content-length"]), 10, left_))
            return unexpected("a content length that is no number");
        state_ = left_ == 0 ? State::Done : State::Length;
    } else {
        state_ = State::UntilClose;
    }
    return {};
}

base::Result<void> HttpResponse::parseChunkSize(std::string_view line) {
    if (!parseWhole(trimmed(line.substr(0, line.find(';'))), 16, left_))
        return unexpected("a chunk without a size");
    state_ = left_ == 0 ? State::Trailer : State::ChunkData;
    return {};
}

void HttpResponse::takeBody(std::string_view& bytes, std::string& body) {
    const size_t count = state_ == State::UntilClose
                             ? bytes.size()
                             : static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
    body.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    if (state_ == State::UntilClose) return;
    left_ -= count;
    if (left_ == 0) state_ = state_ == State::Length ? State::Done : State::ChunkEnd;
}

base::Result<void> HttpResponse::feed(std::string_view bytes, std::string& body) {
    while (!bytes.empty() && !done()) {
        if (state_ == State::Length || state_ == State::ChunkData || state_ == State::UntilClose) {
            takeBody(bytes, body);
            continue;
        }
        // a head, or a line of the chunk framing: held until it is whole
        const std::string_view mark = state_ == State::Head ? "\r\n\r\n" : "\r\n";
        const size_t before = held_.size();
        held_.append(bytes);
        const size_t end = held_.find(mark, before > mark.size() ? before - mark.size() : 0);
        if (end == std::string::npos) {
            if (held_.size() > (state_ == State::Head ? kHeadLimit : kLineLimit))
                return unexpected("a head or line without an end");
            return {};
        }
        bytes.remove_prefix(end + mark.size() - before);
        const std::string line = held_.substr(0, end);
        held_.clear();
        switch (state_) {
        case State::Head:
            CONCLAVE_TRY_VOID(parseHead(line));
            break;
        case State::ChunkSize:
            CONCLAVE_TRY_VOID(parseChunkSize(line));
            break;
        case State::ChunkEnd:
            if (!line.empty()) return unexpected("a chunk longer than its size");
            state_ = State::ChunkSize;
            break;
        default:  // Trailer: ends with an empty line
            if (line.empty()) state_ = State::Done;
            break;
        }
    }
    return {};
}

bool HttpResponse::finish() {
    if (state_ == State::UntilClose) state_ = State::Done;
    return done();
}

}  // namespace conclave::engine::client
