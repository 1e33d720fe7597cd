#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"

namespace conclave::engine::formats {

inline constexpr size_t kMostInvocationTokens = 4096;

/// Where an adapter keeps the fingerprint of the base that it was made for (model/base_fingerprint.h): a key
/// of a GGUF file, a field of adapter_config.json.
inline constexpr const char* kFingerprintKeyGguf = "conclave.base.fingerprint";
inline constexpr const char* kFingerprintKeyPeft = "conclave_base_fingerprint";

/// A LoRA adapter as it lies on disk: PEFT's folder (adapter_config.json, adapter_model.safetensors) or
/// llama.cpp's GGUF of the type adapter. Sources: PEFT's src/peft/tuners/lora/config.py and
/// utils/save_and_load.py, llama.cpp's src/llama-adapter.cpp. Immutable once opened.
struct AdapterFile {
    enum class Kind : uint8_t { Peft, Gguf } kind = Kind::Peft;
    std::string path;
    TensorDirectory tensors;

    /// A rank or alpha for the modules whose names fit; the first that fits counts.
    template <class Number> using Patterns = std::vector<std::pair<std::string, Number>>;
    uint32_t rank = 0;            ///< r of the configuration; 0 in a GGUF, where the tensors say it
    double alpha = 0;             ///< 0 in a GGUF: its scale is 1
    bool rankStabilised = false;  ///< rsLoRA: alpha / sqrt(rank) instead of alpha / rank
    Patterns<uint32_t> rankPatterns;
    Patterns<double> alphaPatterns;
    std::vector<std::string> targetParameters;  ///< parameters that were adapted instead of modules
    std::vector<int32_t> invocationTokens;      ///< aLoRA: the adapter works from their last occurrence on
    std::string peftVersion;                    ///< empty where the file does not say
    std::string architecture;                   ///< GGUF: general.architecture of the base
    std::string baseName;                       ///< what the file calls its base; empty where it does not say
    std::string baseFingerprint;                ///< empty where it has none
    const char* fingerprintKey() const {
        return kind == Kind::Peft ? kFingerprintKeyPeft : kFingerprintKeyGguf;
    }

    /// What the product of a module's matrices is multiplied with, for a pair of this rank. Errors:
    /// ValueOutOfRange where a pattern asks for another rank, or cannot be understood.
    base::Result<float> scaleOf(const std::string& module, uint32_t pairRank) const;
};

/// Errors: NotAnAdapter; UnsupportedOption for what would change the result and is not done (DoRA, biases,
/// whole layers saved beside, weights of another kind); and what the readers say. Names of tensors are not
/// looked at.
base::Result<AdapterFile> openAdapter(const std::string& path);

}  // namespace conclave::engine::formats
