#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/config.h"
#include "engine/model/matrix_table.h"
#include "engine/synth/file.h"
#include "engine/synth/spec.h"

namespace conclave::engine::synth {

/// What of a model an adapter of random factors adapts.
enum class Target : uint8_t {
    Attention,  ///< every projection of it
    Experts,    ///< gate, up and down of each routed expert
    Shared,     ///< of the shared expert
    Dense,      ///< of layers without experts
    Router,
};

struct TargetName {
    Target target;
    std::string_view name;
};
/// Every target by name, in the order of the enumeration.
std::span<const TargetName> targets();

/// A LoRA adapter of random factors, for timing.
struct AdapterSpec {
    uint32_t rank = 0;
    std::vector<Target> targets;  ///< each once, in the order of the enumeration
    quant::Format format = quant::Format::F16;
    uint64_t seed = kDefaultSeed;
};

/// "RANK:TARGETS", such as "16:attention,experts". Errors: BadArgument, OutOfRange.
base::Result<AdapterSpec> readAdapterSpec(std::string_view text);

/// The one text of a specification: "16:attention,experts".
std::string toText(const AdapterSpec& spec);

/// llama.cpp's GGUF of an adapter, alpha being the rank, so that its scale is 1. The factors are drawn so
/// that what they add to a matrix's output is about a tenth of it; kv_b is adapted whole, which only bases
/// that keep it whole take in llama.cpp. The same specification gives the same bytes on every machine.
/// Errors: OutOfRange for a target that the model does not have, and for a rank beyond its hidden size.
base::Result<SynthFile> makeAdapter(const AdapterSpec& spec, const model::ModelConfig& config,
                                    const model::MatrixTable& matrices);

/// The same for a model of random weights, none of which is drawn. Errors: those of openGguf too.
base::Result<SynthFile> makeAdapter(const AdapterSpec& spec, const Spec& model);

}  // namespace conclave::engine::synth
