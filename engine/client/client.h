#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/client/cancellation.h"
#include "engine/protocol/answer.h"
#include "engine/protocol/chat.h"
#include "engine/protocol/completion.h"
#include "engine/protocol/engine_info.h"
#include "engine/protocol/experts.h"
#include "engine/protocol/lora.h"
#include "engine/protocol/models.h"
#include "engine/protocol/sse.h"
#include "engine/protocol/tokenize.h"

namespace conclave::engine::client {

/// A whole answer of the engine, whatever its status.
struct Response {
    int status = 0;
    std::string contentType;
    std::string body;
};

/// An answer in words. Whatever happens, `text` holds what arrived; `failed` says why it is not whole
/// (EngineLost when the engine died in mid-answer, Cancelled, or the engine's own error).
struct Answer {
    std::string text;
    std::string finish;  ///< "stop", "length"; empty where the answer is not whole
    std::optional<protocol::Usage> usage;
    std::string model;
    std::optional<base::Error> failed;
};

/// The door to one engine. Every call opens a connection of its own and blocks until it is done, so one
/// Engine may be used by any number of threads. Errors: EngineNotRunning when nobody answers, EngineLost when
/// the connection breaks, EngineProtocol when the answer makes no sense, Cancelled, and the engine's own,
/// which render to its own sentence.
class Engine {
  public:
    /// For an engine that listens at `socketPath`; nothing is sent yet.
    explicit Engine(std::string socketPath) : socketPath_(std::move(socketPath)) {}
    const std::string& socketPath() const { return socketPath_; }

    // --- any request ---

    /// A status of 4xx or 5xx is a Response like any other. `body` is JSON, or empty.
    base::Result<Response> request(std::string_view method, std::string_view target,
                                   std::string_view body = {}, const Cancellation* cancel = nullptr) const;
    /// The same, with an answer below 400 as the body and anything else as the Error that the engine sent.
    base::Result<std::string> ask(std::string_view method, std::string_view target,
                                  std::string_view body = {}, const Cancellation* cancel = nullptr) const;
    /// Posts `body` and hands on each event of the answer's stream; onEvent returns false to hang up, which
    /// is no error. An answer that is not a stream is one event without a name, or the Error it carries.
    using OnEvent = std::function<bool(const protocol::SseEvent& event)>;
    base::Result<void> stream(std::string_view target, std::string_view body, const OnEvent& onEvent,
                              const Cancellation* cancel = nullptr) const;

    // --- the endpoints ---

    base::Result<protocol::EngineInfo> info() const;
    /// Models alone; their adapters, which requests can name as well, are left out.
    base::Result<std::vector<protocol::ModelRow>> listModels() const;
    base::Result<std::vector<protocol::SequenceRow>> sequences() const;

    /// Loads a model and waits until it can be used; gives the name that requests call it. progress may be
    /// empty.
    using OnProgress = std::function<void(const protocol::LoadProgress& progress)>;
    base::Result<protocol::LoadReady> loadModel(const protocol::LoadRequest& request,
                                                const OnProgress& progress = {},
                                                const Cancellation* cancel = nullptr) const;
    base::Result<void> unloadModel(const std::string& name) const;

    base::Result<protocol::AdapterListing> listAdapters() const;
    /// As loadModel().
    base::Result<protocol::LoadReady> loadAdapter(const protocol::AdapterLoad& request,
                                                  const OnProgress& progress = {},
                                                  const Cancellation* cancel = nullptr) const;
    base::Result<void> unloadAdapter(const std::string& name) const;

    /// Which experts the caller's own requests met; `query.stream` does not count.
    base::Result<protocol::ExpertsSnapshot> experts(protocol::ExpertsQuery query) const;
    /// The same again and again, `query.everySeconds` apart, until onSnapshot returns false.
    using OnExperts = std::function<bool(const protocol::ExpertsSnapshot& snapshot)>;
    base::Result<void> watchExperts(protocol::ExpertsQuery query, const OnExperts& onSnapshot,
                                    const Cancellation* cancel = nullptr) const;

    /// Streams the answer whatever request.generation.stream says; onDelta gets each piece of text and
    /// returns false to stop. It may be empty.
    using OnDelta = std::function<bool(std::string_view text)>;
    Answer chat(protocol::ChatRequest request, const OnDelta& onDelta = {},
                const Cancellation* cancel = nullptr) const;
    Answer complete(protocol::CompletionRequest request, const OnDelta& onDelta = {},
                    const Cancellation* cancel = nullptr) const;

    base::Result<std::vector<base::TokenId>> tokenize(const protocol::TokenizeRequest& request) const;
    base::Result<std::string> detokenize(const protocol::DetokenizeRequest& request) const;

    /// Asks the engine to leave and waits until its socket answers no more.
    base::Result<void> stop() const;

  private:
    base::Result<void> streamFrom(std::string_view method, std::string_view target, std::string_view body,
                                  const OnEvent& onEvent, const Cancellation* cancel) const;
    base::Result<protocol::LoadReady> load(std::string_view target, const protocol::Json& request,
                                           const OnProgress& progress, const Cancellation* cancel) const;
    Answer streamAnswer(std::string_view target, const std::string& body, const OnDelta& onDelta,
                        const Cancellation* cancel) const;

    std::string socketPath_;
};

}  // namespace conclave::engine::client
