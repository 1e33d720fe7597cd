#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/gguf.h"
#include "engine/offline/additions.h"
#include "engine/quant/format.h"

namespace conclave::engine::offline {

/// What to convert, and into what.
struct ImportOptions {
    std::string source;       ///< a Hugging Face folder
    std::string destination;  ///< the GGUF file to make; one that is there is replaced, anything else is not
    /// Q8_0, Q4_0, BF16, F16 or F32 for the matrices; none keeps F32, F16 and BF16 as they are and writes FP8
    /// as F32.
    std::optional<quant::Format> quant;
    const Additions* additions = nullptr;  ///< to the matrices; ids as outlineOf(folder) has them
};

struct ImportReport {
    std::string destination;
    std::string architecture;  ///< as GGUF names it
    uint64_t tensors = 0, bytes = 0;
    std::vector<std::pair<std::string, uint64_t>> formats;  ///< bytes by format, largest first
    std::vector<std::string>
        fallbacks;                     ///< tensors in F16 because the block format does not divide their rows
    std::vector<std::string> skipped;  ///< tensors of the source that answering does not need
    std::vector<std::string> warnings;  ///< what GGUF cannot say
};

/// The folder's weights, configuration, tokenizer and chat template as one GGUF version 3 file, with the
/// names and keys that llama.cpp writes: experts stacked, kv_b in its two halves, q and k of the Llama family
/// in rotated pairs. Norms, biases and routers stay F32. Tensor by tensor, in bounded memory; the file
/// appears under its name when it is whole. progress(done, total) in bytes, on the calling thread; may be
/// empty. Errors: whatever is wrong with the folder, UnknownArchitecture, UnknownPreTokenizer,
/// UnsupportedOption for what GGUF cannot say, ValueOutOfRange for a weight that F16 cannot hold,
/// FileChanged, FileWriteFailed, BadArgument.
base::Result<ImportReport> importModel(const ImportOptions& options,
                                       const std::function<void(uint64_t done, uint64_t total)>& progress);

/// path architecture tensors bytes formats fallbacks skipped warnings.
nlohmann::ordered_json toJson(const ImportReport& report);

/// Counts what will be written: tensors, bytes, bytes by format.
void describeTensors(const std::vector<formats::GgufWriteTensor>& tensors, ImportReport& report);

/// Errors: BadArgument for a format that is not written.
base::Result<void> checkImportFormat(quant::Format format);

/// The formats that ImportOptions::quant takes, as a person types them ("q8_0").
std::vector<std::string> importFormats();

}  // namespace conclave::engine::offline
