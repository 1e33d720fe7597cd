#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// One adapter that a request asks for, by number or by name (llama-server's `lora` field).
struct LoraUse {
    std::optional<uint32_t> id;
    std::string name;  ///< where there is no id
    double scale = 1;  ///< −100–100
};

/// The field `lora`: nothing where it is absent, so that the caller's default counts; an empty list asks for
/// the base alone. At most 16.
std::optional<std::vector<LoraUse>> readLora(Fields& fields);
Json loraJson(const std::vector<LoraUse>& uses);

/// The body of POST /lora-adapters: a list of the same form.
base::Result<std::vector<LoraUse>> readLoraDefaults(std::string_view body);

/// An adapter of GET /lora-adapters and /conclave/v1/adapters.
struct AdapterRow {
    std::optional<uint32_t> id;     ///< none: never loaded so far
    std::string name, model, path;  ///< no model: made for one that is not known
    double scale = 0;               ///< the caller's default
    std::string contentId;
    uint32_t pairs = 0, matrices = 0, rank = 0;
    uint64_t bytes = 0;  ///< in memory; 0 where it is not loaded
    bool invoked = false;
    bool loaded = true;  ///< false: it made room for others, and the next request that names it loads it
    uint32_t users = 0;  ///< requests that hold it
    int64_t loadedAtUnix = 0, lastUsedUnix = 0;
    struct Layer {
        uint32_t layer = 0, matrices = 0, experts = 0;
    };
    std::vector<Layer> layers;
};

/// GET /conclave/v1/adapters/{name}: the row and what its file says.
struct AdapterDetails {
    AdapterRow row;
    std::string format;     ///< "peft", "gguf"
    std::string trainedOn;  ///< what the file calls its base; may be empty
    double alpha = 0;
    bool rankStabilised = false;
    std::vector<uint32_t> ranks;
    std::vector<std::string> targets;
    std::vector<base::TokenId> invocation;
};

/// All of them, and the memory that they take of what they may.
struct AdapterListing {
    std::vector<AdapterRow> rows;
    struct Installed {
        std::string name, model, path;  ///< no model: it lies in the user's folder
    };
    std::vector<Installed> installed;  ///< requests can name them, and none has so far
    uint64_t bytes = 0, budget = 0;
};

/// llama-server's list: id, path, scale; and name and model.
std::string loraList(const std::vector<AdapterRow>& rows);
std::string adapterList(const AdapterListing& listing);
Json adapterJson(const AdapterRow& row);
std::string adapterDetails(const AdapterDetails& details);
base::Result<AdapterListing> readAdapterList(std::string_view body);

/// POST /conclave/v1/adapters: a path (absolute) or an installed name, for a model. Its answer has the events
/// of models.h.
struct AdapterLoad {
    std::string path, name, model;
};
base::Result<AdapterLoad> readAdapterLoad(std::string_view body);
Json toJson(const AdapterLoad& request);

/// Answers of DELETE /conclave/v1/adapters/{name} and of POST /lora-adapters.
std::string adapterUnloaded(std::string_view name);
std::string loraDefaultsSet();

}  // namespace conclave::engine::protocol
