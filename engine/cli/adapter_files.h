#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <utility>

#include "engine/cli/command.h"

namespace conclave::engine::cli {

/// A subcommand of `adapters` and what it does.
struct AdapterCommand {
    CLI::App* app;
    Run run;
};

/// `adapters info`, `merge` and `convert`, which read and write files and need no engine.
AdapterCommand declareAdapterInfo(CLI::App& adapters);
AdapterCommand declareAdapterMerge(CLI::App& adapters);
AdapterCommand declareAdapterConvert(CLI::App& adapters);

}  // namespace conclave::engine::cli
