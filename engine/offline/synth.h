#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/synth/file.h"
#include "engine/synth/spec.h"

namespace conclave::engine::offline {

struct SynthOptions {
    synth::Wish wish;
    std::string destination;  ///< the GGUF file to make, replaced or refused as importModel does
    /// Not the model but a LoRA adapter for it: RANK:TARGETS. wish.quant is then a float format, F16 where it
    /// is empty.
    std::string adapter{};
};

struct SynthReport {
    std::string destination;
    /// The whole specification: "synth:olmoe-1b-7b:q4_k_m:16", or "16:attention for …".
    std::string model;
    uint64_t tensors = 0, parameters = 0, bytes = 0;
    std::vector<std::pair<std::string, uint64_t>> formats;  ///< bytes by format, largest first
};

/// Writes a GGUF file of random weights, in a few megabytes of memory; it appears under its name when it is
/// whole. progress(done, total) in bytes, on the calling thread; may be empty. Errors: those of
/// synth::checkWish and synth::makeAdapter, BadArgument for the destination, FileWriteFailed, also where the
/// disk has no room for it, before anything is written.
base::Result<SynthReport> writeSynth(const SynthOptions& options,
                                     const std::function<void(uint64_t done, uint64_t total)>& progress);

/// The same for what is already made. Errors: FileWriteFailed.
base::Result<void> writeSynthFile(const synth::SynthFile& file, const std::string& destination,
                                  const std::function<void(uint64_t done, uint64_t total)>& progress);

/// The shapes and the formats that can be asked for, each joined with commas.
std::string synthShapes();
std::string synthQuants();
/// What an adapter may adapt, joined the same way.
std::string synthTargets();

}  // namespace conclave::engine::offline
