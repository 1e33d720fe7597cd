#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/offline/numerics.h"
#include "engine/policy/options.h"

namespace conclave::engine::cli {

/// What the person says about how a model is to run without an engine.
struct OfflineFlags {
    std::map<std::string, std::string> keys;  ///< of addKeyFlags(); empty values = not given
    std::string activations = "auto", kv = "f16";
};

/// The same, resolved.
struct OfflineRun {
    std::string path;            ///< of the model
    policy::Options configured;  ///< with the flags and the user's config.toml
    model::LoadOptions load;
};

/// Adds the flags of these keys of config.toml, such as threads and kernels.
void addKeyFlags(CLI::App& app, const std::vector<std::string_view>& names,
                 std::map<std::string, std::string>& flags);

/// Errors: UnknownModel, and whatever is wrong with the configuration or the flags.
base::Result<OfflineRun> resolve(const std::string& model, const OfflineFlags& flags);

}  // namespace conclave::engine::cli
