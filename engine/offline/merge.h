#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/adapter.h"
#include "engine/offline/import.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

struct MergeOptions {
    std::string model;  ///< a Hugging Face folder, a GGUF file or "synth:…"
    struct Use {
        std::string path;
        float strength = 1;
    };
    std::vector<Use> adapters;  ///< at least one; they add in their order
    std::string destination;  ///< the GGUF file to make; one that is there is replaced, anything else is not
    quant::Format quant = quant::Format::Q8_0;  ///< of the matrices: Q8_0, Q4_0, BF16, F16 or F32
};

struct MergeReport {
    ImportReport written;
    struct Merged {
        std::string path;
        float strength = 1;
        model::AdapterCounts counts;
    };
    std::vector<Merged> adapters;
};

/// The model with W + strength * scale * B A in place of every adapted W, computed in float32 and then
/// encoded. Of a folder the file is the one that importModel writes; of a GGUF file it has the same tensors
/// and keys, with norms, biases and routers in F32. Tensor by tensor: beside the adapters only pieces of the
/// model are in memory. Errors: as importModel and loadAdapter; UnsupportedOption for an adapter with
/// invocation tokens; BadArgument where the destination is the model itself.
base::Result<MergeReport> mergeAdapters(const MergeOptions& options,
                                        const std::function<void(uint64_t done, uint64_t total)>& progress);

/// path architecture tensors bytes formats fallbacks skipped warnings adapters [path scale pairs matrices].
nlohmann::ordered_json toJson(const MergeReport& report);

}  // namespace conclave::engine::offline
