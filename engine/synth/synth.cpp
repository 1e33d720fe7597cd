#include "engine/synth/synth.h"

#include <cmath>
#include <utility>

#include "engine/model/family.h"
#include "engine/model/gguf_keys.h"
#include "engine/model/gguf_tensor.h"
#include "engine/model/tensor_list.h"
#include "engine/synth/config.h"
#include "engine/synth/vocabulary.h"

namespace conclave::engine::synth {
namespace {

using base::Result;
using quant::Format;

constexpr float kNormDeviation = 0.05f, kBiasDeviation = 0.02f;

Values valuesOf(model::Role role, const std::vector<uint64_t>& shape) {
    if (shape.size() > 1) return {0, static_cast<float>(1 / std::sqrt(static_cast<double>(shape.back())))};
    switch (role) {
    case model::Role::QueryBias:
    case model::Role::KeyBias:
    case model::Role::ValueBias:
    case model::Role::RouterBias:
        return {0, kBiasDeviation};
    default:
        return {1, kNormDeviation};
    }
}

Format asFloats(Format) {
    return Format::F32;
}

void append(formats::GgufMetadata& to, formats::GgufMetadata from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

/// Adds the tensor that a family asked for.
void addTensor(const Spec& spec, model::Role role, model::GgufTensor tensor, SynthModel& out) {
    const bool isVector = tensor.shape.size() == 1;
    const Format format =
        formatOf(*spec.recipe, out.config, {role, tensor.layer, tensor.shape.back(), isVector});
    const Values values = valuesOf(role, tensor.shape);
    out.file.add(std::move(tensor.name), format, std::move(tensor.shape), values, spec.seed);
}

}  // namespace

Result<SynthModel> makeModel(const Spec& spec) {
    SynthModel out;
    CONCLAVE_TRY(ShapeConfig shape, configOf(*spec.shape, spec.layers));
    out.config = std::move(shape.config);
    const model::Family& family = model::familyOf(out.config);
    const formats::TensorDirectory none;
    model::TensorList list(none, model::Naming::HuggingFace, family.names, asFloats);
    family.build(out.config, list);
    for (size_t i = 0; i < list.requests().size(); ++i) {
        const model::Role role = list.roles()[i];
        addTensor(spec, role, model::ggufTensor(family, role, list.requests()[i]), out);
    }
    CONCLAVE_TRY(out.file.metadata, model::modelKeys(shape.folder, out.config, spec.recipe->fileType));
    append(out.file.metadata, vocabularyKeys(out.config.vocabulary, spec.shape->pre));
    return out;
}

Result<formats::GgufFile> openGguf(const std::string& path) {
    if (!isSpec(path)) return formats::GgufFile::open(path);
    CONCLAVE_TRY(const Spec spec, readSpec(path));
    CONCLAVE_TRY(SynthModel model, makeModel(spec));
    return formats::GgufFile::compute(model.file.metadata, std::move(model.file.tensors), toText(spec));
}

}  // namespace conclave::engine::synth
