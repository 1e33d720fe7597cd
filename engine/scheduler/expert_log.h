#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/library/library.h"
#include "engine/model/expert_counts.h"
#include "engine/model/expert_load.h"

namespace conclave::engine::scheduler {

/// What consecutive steps of one sequence chose. Tokens that were found in the prefix cache were not routed
/// again and are not among them; those that were computed twice are, twice.
struct ExpertRecord {
    base::OwnerId owner{};
    std::string conversation;           ///< as the request says; may be empty
    std::vector<std::string> adapters;  ///< names of those at work
    std::chrono::steady_clock::time_point began, ended;
    uint64_t tokens = 0;
    model::ExpertCounts counts;
};

/// Which records count: all conditions together. A window ends now and holds whole records only.
struct ExpertQuery {
    std::optional<base::OwnerId> owner{};  ///< none: of all owners together
    std::optional<std::string> conversation{};
    std::optional<std::string> adapter{};        ///< by name; empty: of requests without any
    std::optional<uint64_t> tokens{};            ///< the newest records that hold at least so many
    std::optional<std::chrono::seconds> last{};  ///< those that ended since
};

using model::LayerLoad;
using model::LoadFigures;

/// The load of a model's layers in a window.
struct ExpertWindow {
    uint64_t tokens = 0;   ///< that it really covers
    double seconds = 0;    ///< since the oldest of its records began
    uint32_t chosen = 0;   ///< experts of a token, as the model says
    uint32_t experts = 0;  ///< of a layer; 0: a dense model
    std::vector<LayerLoad> layers;

    /// The layer of the largest MaxVio; none where nothing was routed.
    std::optional<uint32_t> worstLayer() const;
};

/// What the routers chose lately, for each model within a budget of bytes; the oldest records go first.
/// Thread-safe; readers hold it up only while they copy pointers.
class ExpertLog {
  public:
    explicit ExpertLog(uint64_t bytesOfModel) : bytesOfModel_(bytesOfModel) {}

    void add(const library::LoadedModel& model, std::shared_ptr<const ExpertRecord> record);
    ExpertWindow read(const library::LoadedModel& model, const ExpertQuery& query,
                      std::chrono::steady_clock::time_point now) const;
    /// Bytes of all records.
    uint64_t bytes() const;

  private:
    /// Of the models of one name: when another content takes it, the old records go.
    struct Ring {
        std::string contentId;
        std::weak_ptr<const model::Model> model;  ///< gone: the records go when room is wanted
        std::deque<std::shared_ptr<const ExpertRecord>> records;  ///< oldest first
        uint64_t bytes = 0;
    };
    std::vector<std::shared_ptr<const ExpertRecord>> recordsOf(const library::LoadedModel& model,
                                                               const ExpertQuery& query) const;

    const uint64_t bytesOfModel_;
    mutable std::mutex mutex_;
    std::map<std::string, Ring> rings_;  ///< by the model's name
};

}  // namespace conclave::engine::scheduler
