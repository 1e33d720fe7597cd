#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/client/client.h"
#include "engine/policy/options.h"
#include "engine/protocol/generation.h"

namespace conclave::engine::cli {

/// Where the options of this user come from when no flag is given.
policy::Sources userSources();

/// What these sources and flags (key -> value, empty = not given) come to; warnings go to stderr, each once.
base::Result<policy::Options> userOptions(const std::map<std::string, std::string>& flags);

/// Where this user's models are looked for without an engine. Errors: those of the configuration.
base::Result<std::vector<std::string>> modelFolders();

/// offline::modelPath in those folders.
base::Result<std::string> modelPath(const std::string& argument);

/// Adds --socket.
void addSocketFlag(CLI::App& app, std::string& socket);

/// The engine to talk to: the one at `socket`, or the configured, the user's or the service's; started when
/// none runs.
base::Result<client::Engine> openEngine(const std::string& socket);

/// The same, never started.
base::Result<client::Engine> findRunningEngine(const std::string& socket);

/// Loads what the person named (a name, or a path) with a progress bar and gives the name that requests use;
/// warnings about the model go to stderr.
base::Result<std::string> readyModel(const client::Engine& engine, const std::string& argument);

/// Adds --temperature --top-p --top-k --min-p --typical-p --presence-penalty --frequency-penalty
/// --repeat-penalty --repeat-last-n --min-tokens --ignore-eos --seed --max-tokens --stop. The engine checks
/// their ranges.
void addGenerationFlags(CLI::App& app, protocol::Generation& generation);

}  // namespace conclave::engine::cli
