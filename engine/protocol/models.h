#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/protocol/json.h"
#include "engine/protocol/router.h"

namespace conclave::engine::protocol {

/// One model of GET /v1/models, or an adapter of one: everything that a request's field `model` may say.
struct ModelRow {
    std::string id;
    int64_t createdUnix = 0;
    bool loaded = false;
    std::string path;
    uint64_t bytes = 0;
    std::string parent{};  ///< an adapter's model; empty for a model
};

std::string modelList(const std::vector<ModelRow>& rows);
std::string modelObject(const ModelRow& row);
base::Result<std::vector<ModelRow>> readModelList(std::string_view body);

/// POST /conclave/v1/models. A path must be absolute or a "synth:…"; path with name loads it under that name;
/// a name alone is that of an installed model. `router` becomes the default of requests that have none;
/// absent it leaves the default of a model that is loaded already.
struct LoadRequest {
    std::string path, name;
    std::optional<RouterWish> router{};
};
base::Result<LoadRequest> readLoadRequest(std::string_view body);
Json toJson(const LoadRequest& request);

// The events of its answer: any number of `progress`, then `ready` or `error`.
struct LoadProgress {
    std::string stage;
    uint64_t done = 0, total = 0;
};
struct LoadReady {
    std::string id;
    std::vector<std::string> warnings;
};
inline constexpr std::string_view kProgressEvent = "progress", kReadyEvent = "ready", kErrorEvent = "error";
std::string toText(const LoadProgress& progress);
std::string toText(const LoadReady& ready);

using LoadEvent = std::variant<LoadProgress, LoadReady, base::Error>;
/// Errors: EngineProtocol for an event that is none of the three.
base::Result<LoadEvent> readLoadEvent(std::string_view event, std::string_view data);

/// `prefix` and the name of a model as the path of a request: what a path cannot hold is percent-encoded.
std::string modelTarget(std::string_view prefix, std::string_view id);
/// The name in such a path; empty where an escape is broken.
std::string modelInTarget(std::string_view encoded);

/// Answer of DELETE /conclave/v1/models/{id}.
std::string modelUnloaded(std::string_view id);

}  // namespace conclave::engine::protocol
