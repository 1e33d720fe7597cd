#include "engine/server/http_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace conclave::engine::server {
namespace {

struct Reason {
    int status;
    std::string_view text;
};
constexpr Reason kReasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

std::string_view reasonOf(int status) {
    const auto* row = std::find_if(std::begin(kReasons), std::end(kReasons),
                                   [status](const Reason& reason) { return reason.status == status; });
    return row == std::end(kReasons) ? "Status" : row->text;
}

std::string startOf(const ResponseForm& form, int status) {
    std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
    head.append(reasonOf(status)).append("\r\nServer: conclave\r\n");
    if (!form.keepAlive)
        head.append("Connection: close\r\n");
    else if (form.version == 10)
        head.append("Connection: keep-alive\r\n");
    if (!form.allow.empty()) head.append("Allow: ").append(form.allow).append("\r\n");
    return head;
}

bool inChunks(const ResponseForm& form) {
    return form.version >= 11;
}

}  // namespace

std::string wholeHead(const ResponseForm& form, int status, uint64_t bytes, std::string_view contentType) {
    return startOf(form, status) + "Content-Type: " + std::string(contentType) +
           "\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string streamHead(const ResponseForm& form) {
    return startOf(form, 200) +
           "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n" +
           (inChunks(form) ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

std::string streamPiece(const ResponseForm& form, std::string_view bytes) {
    if (!inChunks(form)) return std::string(bytes);
    std::array<char, 16> size{};
    const auto [end, error] = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16);
    std::string out(size.data(), end);
    out.append("\r\n").append(bytes).append("\r\n");
    return out;
}

std::string streamEnd(const ResponseForm& form) {
    return inChunks(form) ? "0\r\n\r\n" : "";
}

std::string_view pathOf(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"})
        if (target.starts_with(scheme)) {
            target.remove_prefix(scheme.size());
            const size_t slash = target.find('/');
            target = slash == std::string_view::npos ? "/" : target.substr(slash);
        }
    return target.substr(0, target.find_first_of("?#"));
}

std::string_view queryOf(std::string_view target) {
    target = target.substr(0, target.find('#'));
    const size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

}  // namespace conclave::engine::server
