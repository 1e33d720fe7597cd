#pragma once

#include <CLI/App.hpp>

#include "engine/cli/command.h"

namespace conclave::engine::cli {

/// `conclave bench adapters`.
Run declareBenchAdapters(CLI::App& app);

}  // namespace conclave::engine::cli
