#include "engine/client/http_response.h"

#include <gtest/gtest.h>

namespace conclave::engine::client {
namespace {

struct Read {
    bool ok = false, done = false;
    int status = 0;
    std::string body;
};

/// Feeds `text` in pieces of `piece` bytes.
Read readIn(const std::string& text, size_t piece, bool close = false) {
    HttpResponse response;
    Read out;
    for (size_t at = 0; at < text.size() && !response.done(); at += piece)
        if (!response.feed(std::string_view(text).substr(at, piece), out.body).ok()) return out;
    out.ok = true;
    out.done = close ? response.finish() : response.done();
    out.status = response.status();
    return out;
}

struct Case {
    std::string text, body;
    int status;
    bool close;
};
const Case kGood[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, false},
    {"HTTP/1.1 200 OK\r\ncontent-length:  0 \r\n\r\n", "", 200, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
     "abc0123456789", 200, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", "a", 200,
     false},
    {"HTTP/1.0 404 Not Found\r\nX: y\r\n\r\nuntil the end", "until the end", 404, true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", "ok", 201, false},
};

TEST(HttpResponse, IsReadWhereverItBreaks) {
    for (const Case& row : kGood)
        for (size_t piece = 1; piece <= row.text.size(); ++piece) {
            const Read read = readIn(row.text, piece, row.close);
            ASSERT_TRUE(read.ok) << row.text << " in " << piece;
            EXPECT_TRUE(read.done) << row.text << " in " << piece;
            EXPECT_EQ(read.status, row.status);
            EXPECT_EQ(read.body, row.body) << row.text << " in " << piece;
        }
}

TEST(HttpResponse, NonsenseIsRefused) {
    for (const std::string text :
         {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
          "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"})
        EXPECT_FALSE(readIn(text, 1).ok) << text;
    EXPECT_FALSE(readIn("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), 1000).ok);
}

TEST(HttpResponse, ACutResponseIsNotDone) {
    const std::string text = kGood[3].text;
    for (size_t cut = 0; cut < text.size(); ++cut)
        EXPECT_FALSE(readIn(text.substr(0, cut), 7, true).done) << cut;
}

}  // namespace
}  // namespace conclave::engine::client
