#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/library/library.h"
#include "engine/model/adapter.h"

namespace conclave::engine::library {

/// A LoRA adapter, ready for one model. Immutable once loaded.
struct LoadedAdapter {
    std::string name;  ///< what requests call it
    std::string path;
    std::string contentId;  ///< SHA-256 over its files; part of every key of what it computed
    std::shared_ptr<const model::Model> base;  ///< whose matrices it adapts
    std::shared_ptr<const model::Adapter> adapter;
    int64_t loadedAtUnix = 0;
};

/// An adapter at work on a request, with its strength. Several add in their order.
struct AdapterUse {
    std::shared_ptr<const LoadedAdapter> adapter;
    float strength = 1;  ///< times the scale of its file; 0 = as if it were not there
};

/// What decides the bits that a set of adapters adds: the contents and strengths of those that are at work,
/// in order; empty where none is.
std::string keyOf(const std::vector<AdapterUse>& uses);

/// Reads an adapter for `base` from PEFT's folder or a GGUF file. An empty name is made from the path.
/// Errors: as model::loadAdapter and formats::openAdapter, AdapterMismatch also where the fingerprint of its
/// base says another vocabulary, BadArgument for a name that none can have.
base::Result<std::shared_ptr<const LoadedAdapter>>
loadAdapter(const std::string& path, const std::string& name, const LoadedModel& base,
            const std::function<void(const std::string& stage, uint64_t done, uint64_t total)>& progress);

}  // namespace conclave::engine::library
