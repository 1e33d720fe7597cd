#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/library/adapter_facts.h"
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
    std::shared_ptr<const AdapterFacts> facts;
};

/// An adapter at work on a request, with its strength. Several add in their order.
struct AdapterUse {
    std::shared_ptr<const LoadedAdapter> adapter;
    float strength = 1;  ///< times the scale of its file; 0 = as if it were not there
};

/// What decides the bits that a set of adapters adds: the contents and strengths of those that are at work,
/// in order; empty where none is.
std::string keyOf(const std::vector<AdapterUse>& uses);

/// The files of the adapter at `path`, whether or not they are there: PEFT's two in a folder, or the GGUF
/// file alone.
std::vector<std::string> adapterFiles(const std::string& path);

/// What identifies the adapter at `path`. Errors: as hashContent().
base::Result<std::string> adapterContentId(const std::string& path, const Library::Progress& progress);

/// The same on a thread of its own, beside the reading of the factors: each takes about as long as the other.
/// Whoever drops the result waits for it.
std::future<base::Result<std::string>> hashBeside(const std::string& path, const Library::Progress& progress);

/// Opens the file of an adapter for `base`. Errors: as formats::openAdapter; AdapterMismatch where the
/// fingerprint that the file carries is not that of `base`.
base::Result<formats::AdapterFile> openFor(const LoadedModel& base, const std::string& path);

/// Reads the factors for `base`. Errors: as model::loadAdapter; one that says that something does not fit
/// also says what the file calls its base.
base::Result<std::shared_ptr<const model::Adapter>>
readFactors(const formats::AdapterFile& file, const LoadedModel& base, const model::ReserveMemory& reserve);

/// Reads an adapter for `base` from PEFT's folder or a GGUF file. An empty name is made from the path.
/// Errors: as the three above, BadArgument for a name that none can have.
base::Result<std::shared_ptr<const LoadedAdapter>> loadAdapter(const std::string& path,
                                                               const std::string& name,
                                                               const LoadedModel& base,
                                                               const Library::Progress& progress);

/// The name that an adapter at `path` gets where `name` is empty. Errors: BadArgument where none can have it.
base::Result<std::string> adapterName(const std::string& path, const std::string& name);

}  // namespace conclave::engine::library
