#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conclave::engine::cli {

/// What a person wants to see of the requests that the running engine answered for them.
struct LiveFlags {
    bool live = false, watch = false;
    std::string socket;
    std::optional<std::string> conversation, adapter;
    std::optional<uint64_t> tokens;
    std::optional<uint32_t> seconds;
};

/// Adds --live and what goes with it: --watch --conversation --adapter --tokens --seconds --socket. Gives
/// --live back, which the flags of a text exclude.
CLI::Option* addLiveFlags(CLI::App& app, LiveFlags& flags);

/// Shows them once, or each second until Ctrl-C; no model: the engine's default. Gives the exit status.
int liveExperts(const std::string& model, const LiveFlags& flags, bool json);

}  // namespace conclave::engine::cli
