#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/protocol/router.h"

namespace conclave::engine::protocol {

/// Raised when a client of ours and an engine of another number could misunderstand each other.
inline constexpr int kProtocol = 1;

/// A loaded model as GET /conclave/v1/engine tells it.
struct LoadedRow {
    std::string id, path, architecture, contentId, numericsId;
    uint32_t context = 0;  ///< tokens a request may use, prompt and answer together
    bool chat = false;     ///< has a chat template
    std::vector<std::string> warnings;
    std::optional<RouterWish> router{};  ///< of requests without one of their own; none: as trained
};

/// GET /conclave/v1/engine.
struct EngineInfo {
    std::string version;
    int protocol = 0;
    int64_t pid = 0;
    int64_t startedUnix = 0;
    std::string socket;
    uint64_t threads = 0;
    std::string kernels, activations, kv;
    uint64_t adapterBytes = 0;  ///< budget of adapters
    uint64_t kvBytes = 0;       ///< budget of pages now; 0 before a model has been loaded
    std::string defaultModel;   ///< models.chat; may be empty
    std::vector<LoadedRow> models;
    uint64_t requests = 0;  ///< being answered now, of all owners
    struct Limits {
        uint64_t headerBytes = 0, bodyBytes = 0, connections = 0, queuedBytes = 0;
    } limits;
};
std::string toText(const EngineInfo& info);
base::Result<EngineInfo> readEngineInfo(std::string_view body);

/// A running sequence of the caller, GET /conclave/v1/sequences.
struct SequenceRow {
    uint64_t id = 0;
    std::string model, priority, state;
    uint32_t promptTokens = 0, doneTokens = 0, generatedTokens = 0;
};
std::string toText(const std::vector<SequenceRow>& rows);
base::Result<std::vector<SequenceRow>> readSequences(std::string_view body);

/// Bodies of GET /health and of POST /conclave/v1/shutdown.
std::string healthBody();
std::string shutdownBody();

}  // namespace conclave::engine::protocol
