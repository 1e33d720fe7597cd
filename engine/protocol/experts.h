#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/protocol/fields.h"

namespace conclave::engine::protocol {

/// The field `conversation` of a request, by which its experts are found later: 1 to 64 printable ASCII
/// characters; empty where it is absent.
std::string readConversation(Fields& fields);

/// The query of GET /conclave/v1/experts. Without `tokens` and `seconds` the window is kExpertWindow tokens.
struct ExpertsQuery {
    std::string model;                        ///< empty: the engine's default
    std::optional<std::string> conversation;  ///< only requests of this one
    std::optional<std::string> adapter;       ///< only with this one; empty: only without any
    std::optional<uint64_t> tokens;           ///< 1–1,000,000,000: the newest
    std::optional<uint32_t> seconds;          ///< 1–604,800: the last
    bool stream = false;                      ///< a snapshot as an event again and again
    double everySeconds = 1;                  ///< 0.1–60, between two of them
};
inline constexpr uint64_t kExpertWindow = 32'768;
base::Result<ExpertsQuery> readExpertsQuery(std::string_view query);
/// The whole target, query included.
std::string expertsTarget(const ExpertsQuery& query);

/// How evenly a layer's experts were used, and what an even router would show in such a window.
struct ExpertFigures {
    double maxVio = 0, cv = 0, entropy = 0, dead = 0;
};
struct ExpertLayer {
    uint32_t layer = 0;
    std::vector<uint32_t> counts{};                ///< [experts], tokens that chose each
    std::optional<ExpertFigures> load{}, floor{};  ///< null where nothing was chosen
};

/// Its answer, and each event of its stream.
struct ExpertsSnapshot {
    std::string model{};
    uint32_t experts = 0, chosen = 0;
    uint64_t tokens = 0;                   ///< that the window really covers
    double seconds = 0;                    ///< since the oldest of them
    std::optional<uint32_t> worstLayer{};  ///< of the largest max_vio
    std::vector<ExpertLayer> layers{};
};
inline constexpr std::string_view kExpertsEvent = "experts";
std::string toText(const ExpertsSnapshot& snapshot);
base::Result<ExpertsSnapshot> readExpertsSnapshot(std::string_view body);

}  // namespace conclave::engine::protocol
