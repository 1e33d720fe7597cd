#include "engine/model/outline.h"

#include <optional>
#include <string>
#include <utility>

#include "engine/model/family.h"

namespace conclave::engine::model {
namespace {

using base::Result;
using quant::Format;

Format exactHalves(Format) {
    return Format::F32;
}

Result<Outline> outline(ModelConfig config, const formats::TensorDirectory& tensors, Naming naming) {
    const Family& family = familyOf(config);
    TensorList list(tensors, naming, family.names, exactHalves);
    family.build(config, list);
    const residency::PlanOptions options{
        config.scaleBlockRows, config.scaleBlockCols,
        [&](std::string_view name) { return isLeftOver(name, config, list); }};
    Outline out;
    CONCLAVE_TRY(out.plan, residency::makePlan(tensors, list.requests(), options));
    out.matrices = matrixTableOf(naming, family.names, list, out.plan);
    out.config = std::move(config);
    return out;
}

}  // namespace

Result<Outline> outlineOf(const formats::HfFolder& folder) {
    CONCLAVE_TRY(ModelConfig config, configFromHf(folder));
    return outline(std::move(config), folder.tensors, Naming::HuggingFace);
}

Result<Outline> outlineOf(const formats::GgufFile& file) {
    CONCLAVE_TRY(ModelConfig config, configFromGguf(file));
    return outline(std::move(config), file.tensors(), Naming::Gguf);
}

MatrixTable matrixTableOf(Naming naming, std::span<const NameRow> names, const TensorList& list,
                          const residency::Plan& plan) {
    MatrixTable table{naming, names, {}};
    for (size_t i = 0; i < plan.places.size(); ++i)
        table.matrices.push_back({list.roles()[i], list.layers()[i], plan.places[i].matrices,
                                  plan.places[i].rows, plan.places[i].cols});
    return table;
}

bool isLeftOver(std::string_view name, const ModelConfig& config, const TensorList& list) {
    if (name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn_rot_embd.weight") ||
        name == "rope_freqs.weight")
        return true;
    if (config.tiedEmbeddings && name == "lm_head.weight")
        return true;  // a copy of the embedding, which transformers ignores too
    const bool hf = list.naming() == Naming::HuggingFace;
    const std::string prefix = hf ? "model.layers." : "blk.";
    for (uint32_t layer = config.layers; layer < config.layers + config.predictionLayers; ++layer)
        if (name.starts_with(prefix + std::to_string(layer) + ".")) return true;
    // Some converters write kv_b whole and in halves.
    const std::optional<NameNumbers> kvB =
        hf ? std::nullopt : matchName("blk.{layer}.attn_kv_b.weight", name);
    return kvB && list.has(Role::LatentKey, kvB->layer);
}

}  // namespace conclave::engine::model
