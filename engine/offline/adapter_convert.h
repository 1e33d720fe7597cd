#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

struct ConvertOptions {
    std::string source;       ///< PEFT's folder, or a GGUF file of the type adapter
    std::string destination;  ///< the other kind: a GGUF file, or a folder that is not there yet
    std::string model;        ///< path of the model it was made for
    /// F32, F16 or BF16 for all factors; none keeps each pair as it is.
    std::optional<quant::Format> format;
};

struct ConvertReport {
    std::string destination;
    std::string form;                ///< "GGUF" or "PEFT"
    std::string architecture;        ///< of the base, as GGUF names it
    uint32_t pairs = 0;              ///< in the file that was written; GGUF stacks the experts of a layer
    uint32_t matrices = 0;           ///< that they adapt
    uint64_t bytes = 0;              ///< of all factors
    double alpha = 0;                ///< of the whole file
    uint32_t rounded = 0;            ///< factors with values that the format asked for does not have
    uint32_t folded = 0;             ///< pairs whose strength went into B, for the file has one alpha
    std::vector<std::string> notes;  ///< what the other form says in another way
};

/// An adapter in the other form that engines read: PEFT's folder as one GGUF file of llama.cpp's kind, or
/// such a file as a folder with one pair a module. Values stay as they are, in the order of rows, with kv_b
/// in the parts and with names that the form has; where the form has one strength for what had several, the
/// rest goes into B. The result appears when it is whole. Errors: as openAdapter and loadAdapter; BadArgument
/// for a missing model and a destination that is taken; UnsupportedOption for what the other form cannot say;
/// ValueOutOfRange; FileWriteFailed.
base::Result<ConvertReport> convertAdapter(const ConvertOptions& options);

/// path form architecture pairs matrices bytes alpha rounded folded notes.
nlohmann::ordered_json toJson(const ConvertReport& report);

}  // namespace conclave::engine::offline
