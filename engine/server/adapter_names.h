#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/protocol/lora.h"
#include "engine/protocol/models.h"
#include "engine/server/routes.h"

namespace conclave::engine::server {

/// What the field `model` of a request names.
struct Named {
    std::string model;    ///< empty where the field is
    std::string adapter;  ///< of that model; empty for the model alone
};

/// A model, "model:adapter", or an adapter of one model alone, on the shelf or installed beside it. What is
/// none of these is taken for a model, so that finding it says what is wrong. Errors: BadArgument for an
/// adapter of several models.
base::Result<Named> namedBy(Context& context, const std::string& wanted);

/// The adapters that the field `model` may name: those on the shelf, and those installed beside models,
/// loaded or not. Each by its own name, or as "model:adapter" where that name means several.
std::vector<protocol::ModelRow> adaptersAsModels(Context& context);

/// The adapters that lie beside models or in the user's folder and are not on the shelf.
std::vector<protocol::AdapterListing::Installed> adaptersToLoad(Context& context);
/// The one of them that is called `name`, or "model:name"; nothing where there is none.
std::optional<protocol::AdapterListing::Installed> adapterToLoad(Context& context, const std::string& name);

}  // namespace conclave::engine::server
