#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/protocol/router.h"

namespace conclave::engine::cli {

/// What a person asked of the routers on the command line.
struct RouterFlags {
    std::optional<uint32_t> active;
    std::optional<double> temperature, floor;
    std::vector<std::string> biases;  ///< LAYER:EXPERT:VALUE or LAYER:EXPERT:forbid, LAYER may be "all"
};

/// Adds --active-experts, --router-temperature, --expert-floor and --expert-bias.
void addRouterFlags(CLI::App& app, RouterFlags& flags);

/// The flags as the field of a request; nothing where none was given. Errors: OutOfRange for a bias that is
/// none; the engine checks the numbers.
base::Result<std::optional<protocol::RouterWish>> routerWish(const RouterFlags& flags);

}  // namespace conclave::engine::cli
