#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/adapter_file.h"
#include "engine/model/adapter.h"
#include "engine/model/adapter_names.h"

namespace conclave::engine::library {

/// What a person may want to know of an adapter; known even while its factors are not in memory.
struct AdapterFacts {
    std::string format;    ///< "peft", "gguf"
    std::string baseName;  ///< as formats::AdapterFile
    double alpha = 0;
    bool rankStabilised = false;
    std::vector<uint32_t> ranks;  ///< of its factors, ascending, each once
    /// Modules, sorted, each once: "self_attn.q_proj", "mlp.experts.*.up_proj"; "attn_q" from GGUF.
    std::vector<std::string> targets;
    std::vector<base::TokenId> invocation;
    model::AdapterCounts counts;
    uint64_t bytes = 0;           ///< in memory
    bool changesNothing = false;  ///< as model::Adapter
};

AdapterFacts factsOf(const formats::AdapterFile& file, const model::Adapter& adapter);
/// What the files at `path` alone say: the counts hold only their pairs. Errors: as formats::openAdapter()
/// and model::pairsOf().
base::Result<AdapterFacts> factsAt(const std::string& path);

/// Ranks of pairs, ascending, each once; a fused pair's is that of the configuration, and those of patterns
/// are there in any case.
std::vector<uint32_t> ranksOf(const formats::AdapterFile& file, const std::vector<model::AdapterPair>& pairs);

/// Sentences for who loads the adapter `name`; mostly none.
std::vector<std::string> warningsOf(const std::string& name, bool changesNothing);

/// The module that a tensor of an adapter belongs to, the same for all layers and experts.
std::string targetOf(const std::string& tensor);

}  // namespace conclave::engine::library
