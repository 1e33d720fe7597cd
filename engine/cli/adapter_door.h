#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/client/client.h"
#include "engine/protocol/lora.h"

namespace conclave::engine::cli {

/// Adds --adapter NAME[:SCALE].
void addAdapterFlag(CLI::App& app, std::vector<std::string>& wishes);

/// "legal:0.5" as a name and a scale; a colon that no number follows belongs to the name.
protocol::LoraUse adapterWish(const std::string& wish);

/// Loads an adapter with a progress bar; gives the name that requests use.
base::Result<std::string> loadAdapter(const client::Engine& engine, const protocol::AdapterLoad& request);

/// What the person asked for with --adapter as the field of a request for `model`; paths are loaded first.
/// Nothing where nothing was asked for.
base::Result<std::optional<std::vector<protocol::LoraUse>>>
readyAdapters(const client::Engine& engine, const std::string& model, const std::vector<std::string>& wishes);

}  // namespace conclave::engine::cli
