#include "engine/client/client.h"

#include <chrono>
#include <thread>

#include "engine/client/connection.h"
#include "engine/client/http_response.h"
#include "engine/protocol/errors.h"

namespace conclave::engine::client {
namespace {

using base::Code;
using base::Error;

constexpr std::chrono::milliseconds kLeaveTimeout{15'000};
constexpr std::chrono::milliseconds kLeavePause{20};

std::string requestText(std::string_view method, std::string_view target, std::string_view body) {
    std::string text;
    text.append(method).append(" ").append(target).append(
        " HTTP/1.1\r\nHost: conclave\r\nConnection: close\r\n");
    if (!body.empty() || method == "POST")
        text.append("Content-Type: application/json\r\nContent-Length: ")
            .append(std::to_string(body.size()))
            .append("\r\n");
    text.append("\r\n").append(body);
    return text;
}

/// Sends a request and hands on the body as it comes; onBody returns false to hang up.
base::Result<HttpResponse> exchange(const std::string& socket, const std::string& request,
                                    const std::function<bool(const HttpResponse&, std::string_view)>& onBody,
                                    const Cancellation* cancel) {
    CONCLAVE_TRY(Connection connection, Connection::open(socket));
    const base::Result<void> sent = connection.write(request, cancel);
    // A server that refuses a request early closes while we write: its answer is still there to be read.
    if (!sent.ok() && sent.error().code != Code::EngineLost) return sent.error();
    HttpResponse response;
    std::string body;
    while (!response.done()) {
        auto bytes = connection.read(cancel);
        if (!bytes.ok()) return bytes.error();
        if (bytes->empty()) {
            if (!response.finish()) return Error{Code::EngineLost, socket, {}, {"it closed the connection"}};
            break;
        }
        body.clear();
        if (auto fed = response.feed(*bytes, body); !fed.ok()) {
            Error error = fed.error();
            error.file = socket;
            return error;
        }
        if (response.headDone() && !body.empty() && !onBody(response, body)) break;
    }
    return response;
}

/// The Error that a refusal carries; one of our own where it carries none.
Error errorOf(int status, const std::string& body) {
    if (std::optional<Error> error = protocol::readError(body)) return std::move(*error);
    return {Code::EngineProtocol, {}, {}, {"HTTP status " + std::to_string(status)}};
}

}  // namespace

base::Result<Response> Engine::request(std::string_view method, std::string_view target,
                                       std::string_view body, const Cancellation* cancel) const {
    Response out;
    CONCLAVE_TRY(const HttpResponse response, exchange(
                                                  socketPath_, requestText(method, target, body),
                                                  [&out](const HttpResponse&, std::string_view bytes) {
                                                      out.body.append(bytes);
                                                      return true;
                                                  },
                                                  cancel));
    out.status = response.status();
    out.contentType = response.header("content-type");
    return out;
}

base::Result<std::string> Engine::ask(std::string_view method, std::string_view target, std::string_view body,
                                      const Cancellation* cancel) const {
    CONCLAVE_TRY(Response response, request(method, target, body, cancel));
    if (response.status >= 400) return errorOf(response.status, response.body);
    return std::move(response.body);
}

base::Result<void> Engine::stream(std::string_view target, std::string_view body, const OnEvent& onEvent,
                                  const Cancellation* cancel) const {
    return streamFrom("POST", target, body, onEvent, cancel);
}

base::Result<void> Engine::streamFrom(std::string_view method, std::string_view target, std::string_view body,
                                      const OnEvent& onEvent, const Cancellation* cancel) const {
    protocol::SseParser parser;
    std::string whole;
    bool hungUp = false;
    const auto onBody = [&](const HttpResponse& response, std::string_view bytes) {
        if (!response.header("content-type").starts_with("text/event-stream")) {
            whole.append(bytes);
            return true;
        }
        for (const protocol::SseEvent& event : parser.push(bytes))
            if (!hungUp) hungUp = !onEvent(event);
        return !hungUp && !parser.overflowed();
    };
    CONCLAVE_TRY(const HttpResponse response,
                 exchange(socketPath_, requestText(method, target, body), onBody, cancel));
    if (parser.overflowed()) return Error{Code::EngineProtocol, socketPath_, {}, {"an event without an end"}};
    if (response.status() >= 400) return errorOf(response.status(), whole);
    if (!whole.empty()) onEvent({{}, whole});
    return {};
}

base::Result<protocol::EngineInfo> Engine::info() const {
    CONCLAVE_TRY(const std::string body, ask("GET", "/conclave/v1/engine"));
    return protocol::readEngineInfo(body);
}

base::Result<std::vector<protocol::ModelRow>> Engine::listModels() const {
    CONCLAVE_TRY(const std::string body, ask("GET", "/v1/models"));
    CONCLAVE_TRY(std::vector<protocol::ModelRow> rows, protocol::readModelList(body));
    std::erase_if(rows, [](const protocol::ModelRow& row) { return !row.parent.empty(); });
    return rows;
}

base::Result<std::vector<protocol::SequenceRow>> Engine::sequences() const {
    CONCLAVE_TRY(const std::string body, ask("GET", "/conclave/v1/sequences"));
    return protocol::readSequences(body);
}

base::Result<protocol::LoadReady> Engine::load(std::string_view target, const protocol::Json& request,
                                               const OnProgress& progress, const Cancellation* cancel) const {
    std::optional<base::Result<protocol::LoadReady>> outcome;
    const auto onEvent = [&](const protocol::SseEvent& event) {
        auto read = protocol::readLoadEvent(event.event, event.data);
        if (!read.ok())
            outcome = read.error();
        else if (const auto* step = std::get_if<protocol::LoadProgress>(&*read)) {
            if (progress) progress(*step);
        } else if (auto* ready = std::get_if<protocol::LoadReady>(&*read))
            outcome = std::move(*ready);
        else
            outcome = std::get<Error>(*read);
        return !outcome.has_value();
    };
    CONCLAVE_TRY_VOID(stream(target, protocol::dump(request), onEvent, cancel));
    if (!outcome) return Error{Code::EngineLost, socketPath_, {}, {"it ended the answer too early"}};
    return std::move(*outcome);
}

base::Result<protocol::LoadReady> Engine::loadModel(const protocol::LoadRequest& request,
                                                    const OnProgress& progress,
                                                    const Cancellation* cancel) const {
    return load("/conclave/v1/models", protocol::toJson(request), progress, cancel);
}

base::Result<protocol::AdapterListing> Engine::listAdapters() const {
    CONCLAVE_TRY(const std::string body, ask("GET", "/conclave/v1/adapters"));
    return protocol::readAdapterList(body);
}

base::Result<protocol::LoadReady> Engine::loadAdapter(const protocol::AdapterLoad& request,
                                                      const OnProgress& progress,
                                                      const Cancellation* cancel) const {
    return load("/conclave/v1/adapters", protocol::toJson(request), progress, cancel);
}

base::Result<void> Engine::unloadAdapter(const std::string& name) const {
    CONCLAVE_TRY_VOID(ask("DELETE", protocol::modelTarget("/conclave/v1/adapters/", name)));
    return {};
}

base::Result<protocol::ExpertsSnapshot> Engine::experts(protocol::ExpertsQuery query) const {
    query.stream = false;
    CONCLAVE_TRY(const std::string body, ask("GET", protocol::expertsTarget(query)));
    return protocol::readExpertsSnapshot(body);
}

base::Result<void> Engine::watchExperts(protocol::ExpertsQuery query, const OnExperts& onSnapshot,
                                        const Cancellation* cancel) const {
    query.stream = true;
    base::Result<void> outcome = Error{Code::EngineLost, socketPath_, {}, {"it ended the stream"}};
    const auto onEvent = [&](const protocol::SseEvent& event) {
        if (event.event == protocol::kErrorEvent) {
            outcome = errorOf(500, event.data);
            return false;
        }
        const auto snapshot = protocol::readExpertsSnapshot(event.data);
        if (!snapshot.ok()) {
            outcome = snapshot.error();
            return false;
        }
        if (onSnapshot(*snapshot)) return true;
        outcome = base::Result<void>();
        return false;
    };
    CONCLAVE_TRY_VOID(streamFrom("GET", protocol::expertsTarget(query), {}, onEvent, cancel));
    return outcome;
}

base::Result<void> Engine::unloadModel(const std::string& name) const {
    const std::string target = protocol::modelTarget("/conclave/v1/models/", name);
    CONCLAVE_TRY_VOID(ask("DELETE", target));
    return {};
}

Answer Engine::streamAnswer(std::string_view target, const std::string& body, const OnDelta& onDelta,
                            const Cancellation* cancel) const {
    Answer answer;
    bool done = false;
    const auto onEvent = [&](const protocol::SseEvent& event) {
        if (event.data == protocol::kDone) {
            done = true;
            return false;
        }
        const auto piece = protocol::readAnswer(event.data);
        if (!piece.ok()) {
            answer.failed = piece.error();
            return false;
        }
        answer.text += piece->text;
        if (!piece->finish.empty()) answer.finish = piece->finish;
        if (piece->usage) answer.usage = piece->usage;
        if (!piece->model.empty()) answer.model = piece->model;
        if (!piece->text.empty() && onDelta && !onDelta(piece->text)) {
            answer.failed = Error{Code::Cancelled, {}, {}, {}};
            return false;
        }
        return true;
    };
    const base::Result<void> streamed = stream(target, body, onEvent, cancel);
    if (!streamed.ok() && !answer.failed) answer.failed = streamed.error();
    if (!done && !answer.failed)
        answer.failed = Error{Code::EngineLost, socketPath_, {}, {"it ended the answer too early"}};
    if (answer.failed) answer.finish.clear();
    return answer;
}

Answer Engine::chat(protocol::ChatRequest request, const OnDelta& onDelta, const Cancellation* cancel) const {
    request.generation.stream = request.generation.includeUsage = true;
    return streamAnswer("/v1/chat/completions", protocol::dump(protocol::toJson(request)), onDelta, cancel);
}

Answer Engine::complete(protocol::CompletionRequest request, const OnDelta& onDelta,
                        const Cancellation* cancel) const {
    request.generation.stream = request.generation.includeUsage = true;
    return streamAnswer("/v1/completions", protocol::dump(protocol::toJson(request)), onDelta, cancel);
}

base::Result<std::vector<base::TokenId>> Engine::tokenize(const protocol::TokenizeRequest& request) const {
    CONCLAVE_TRY(const std::string body, ask("POST", "/tokenize", protocol::dump(protocol::toJson(request))));
    return protocol::readTokens(body);
}

base::Result<std::string> Engine::detokenize(const protocol::DetokenizeRequest& request) const {
    CONCLAVE_TRY(const std::string body,
                 ask("POST", "/detokenize", protocol::dump(protocol::toJson(request))));
    return protocol::readContent(body);
}

base::Result<void> Engine::stop() const {
    CONCLAVE_TRY_VOID(ask("POST", "/conclave/v1/shutdown"));
    const auto deadline = std::chrono::steady_clock::now() + kLeaveTimeout;
    while (std::chrono::steady_clock::now() < deadline) {
        const auto connection = Connection::open(socketPath_);
        if (!connection.ok() && connection.error().code == Code::EngineNotRunning) return {};
        std::this_thread::sleep_for(kLeavePause);
    }
    return Error{Code::EngineProtocol, socketPath_, {}, {"it was asked to leave and is still there"}};
}

}  // namespace conclave::engine::client
