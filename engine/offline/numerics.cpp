#include "engine/offline/numerics.h"

#include "engine/kernels/kernels.h"

namespace conclave::engine::offline {
namespace {

struct ActivationName {
    const char* name;
    model::ActivationChoice choice;
};
constexpr ActivationName kActivations[] = {
    {"", model::ActivationChoice::Exact},       {"exact", model::ActivationChoice::Exact},
    {"f32", model::ActivationChoice::Exact},    {"auto", model::ActivationChoice::Preferred},
    {"bf16", model::ActivationChoice::BF16},    {"int8", model::ActivationChoice::Int8},
    {"int8x2", model::ActivationChoice::Int8x2}};

}  // namespace

base::Result<model::LoadOptions> numericsOptions(const std::string& kernels, const std::string& activations,
                                                 const std::string& kv) {
    using base::Code;
    using base::Error;
    model::LoadOptions options;
    CONCLAVE_TRY(options.kernels, kernels::selectKernels(kernels));
    const ActivationName* found = nullptr;
    for (const ActivationName& row : kActivations)
        if (activations == row.name) found = &row;
    if (!found)
        return Error{
            Code::OutOfRange, "", "--activations", {activations, "exact, auto, f32, bf16, int8 or int8x2"}};
    options.activations = found->choice;
    if (!kv.empty() && kv != "f32" && kv != "f16")
        return Error{Code::OutOfRange, "", "--kv", {kv, "f32 or f16"}};
    options.kv = kv == "f16" ? kernels::KvType::F16 : kernels::KvType::F32;
    return options;
}

}  // namespace conclave::engine::offline
