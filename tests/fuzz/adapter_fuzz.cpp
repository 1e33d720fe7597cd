// Any bytes as an adapter, PEFT's folder or a GGUF file, for one of a few small models: an error with a
// sentence, or factors that fit the matrices of that model, lie in its memory and are finite. The first byte
// chooses the kind and the model; of a folder two more say how long adapter_config.json is.

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "engine/formats/adapter_file.h"
#include "engine/model/adapter.h"
#include "engine/model/family.h"
#include "engine/model/matrix_table.h"

namespace formats = conclave::engine::formats;
namespace base = conclave::engine::base;
namespace model = conclave::engine::model;
namespace quant = conclave::engine::quant;

namespace {

using model::Role;

void require(bool promise) {
    if (!promise) std::abort();
}

struct Base {
    model::ModelConfig config;
    model::MatrixTable matrices;
};

constexpr uint32_t kLayers = 2, kHidden = 8, kVocabulary = 16, kHeads = 2, kExperts = 4;

/// The matrices of a model as its file would give them, in the sizes that corpus/make.py cuts its seeds to.
Base expertModel(const model::Family& family, uint32_t width, bool pairs) {
    Base out;
    model::ModelConfig& c = out.config;
    c.architecture = family.name;
    c.layers = kLayers;
    c.hidden = kHidden;
    c.vocabulary = kVocabulary;
    c.heads = kHeads;
    c.kvHeads = 1;
    c.keyDim = c.valueDim = 4;
    c.experts = kExperts;
    c.expertIntermediate = width;
    c.rope.interleaved = pairs;
    out.matrices = {pairs ? model::Naming::Gguf : model::Naming::HuggingFace, family.names, {}};
    auto& all = out.matrices.matrices;
    all.push_back({Role::Embedding, 0, 1, c.vocabulary, c.hidden});
    for (uint32_t layer = 0; layer < c.layers; ++layer) {
        all.push_back({Role::Query, layer, 1, c.heads * c.keyDim, c.hidden});
        all.push_back({Role::Key, layer, 1, c.kvHeads * c.keyDim, c.hidden});
        all.push_back({Role::Value, layer, 1, c.kvHeads * c.keyDim, c.hidden});
        all.push_back({Role::Output, layer, 1, c.hidden, c.heads * c.keyDim});
        all.push_back({Role::AttentionNorm, layer, 1, 1, c.hidden});
        all.push_back({Role::Router, layer, 1, c.experts, c.hidden});
        all.push_back({Role::ExpertGate, layer, c.experts, width, c.hidden});
        all.push_back({Role::ExpertUp, layer, c.experts, width, c.hidden});
        all.push_back({Role::ExpertDown, layer, c.experts, c.hidden, width});
    }
    all.push_back({Role::Head, 0, 1, c.vocabulary, c.hidden});
    return out;
}

Base latentModel() {
    Base out;
    model::ModelConfig& c = out.config;
    c.architecture = model::kDeepseek.name;
    c.layers = kLayers;
    c.hidden = kHidden;
    c.vocabulary = kVocabulary;
    c.heads = kHeads;
    c.latentRank = 4;
    c.nopeDim = c.valueDim = 4;
    c.ropeDim = 2;
    c.keyDim = c.nopeDim + c.ropeDim;
    c.experts = kExperts;
    c.expertIntermediate = 4;
    c.tiedEmbeddings = true;
    c.rope.interleaved = true;
    out.matrices = {model::Naming::Gguf, model::kDeepseek.names, {}};
    auto& all = out.matrices.matrices;
    all.push_back({Role::Embedding, 0, 1, c.vocabulary, c.hidden});
    for (uint32_t layer = 0; layer < c.layers; ++layer) {
        all.push_back({Role::Query, layer, 1, c.heads * c.keyDim, c.hidden});
        all.push_back({Role::LatentA, layer, 1, c.latentRank + c.ropeDim, c.hidden});
        all.push_back({Role::LatentKey, layer, c.heads, c.latentRank, c.nopeDim});
        all.push_back({Role::LatentValue, layer, c.heads, c.valueDim, c.latentRank});
        all.push_back({Role::Output, layer, 1, c.hidden, c.heads * c.valueDim});
        all.push_back({Role::ExpertGate, layer, c.experts, c.expertIntermediate, c.hidden});
        all.push_back({Role::ExpertUp, layer, c.experts, c.expertIntermediate, c.hidden});
        all.push_back({Role::ExpertDown, layer, c.experts, c.hidden, c.expertIntermediate});
    }
    return out;
}

const std::array<Base, 4>& bases() {
    static const std::array<Base, 4> all{expertModel(model::kQwen3Moe, 4, false),
                                         expertModel(model::kMixtral, 6, true),
                                         expertModel(model::kOlmoe, 4, false), latentModel()};
    return all;
}

/// Every value of a factor, which must be a number.
void walk(const conclave::engine::kernels::MatrixView& view,
          const conclave::engine::platform::Memory& memory) {
    const quant::FormatInfo& format = quant::info(view.format);
    std::vector<float> row(view.cols);
    for (size_t k = 0; k < view.rows; ++k) {
        const std::byte* at = view.data + k * view.stride;
        require(at >= memory.data() &&
                at + quant::rowBytes(view.format, view.cols) <= memory.data() + memory.size());
        format.decode(at, view.cols / format.blockValues, row.data());
        for (const float value : row)
            require(!std::isnan(value));
    }
}

void requireSound(const model::Adapter& adapter, const Base& base) {
    require(adapter.factors.size() == base.matrices.matrices.size());
    uint32_t most = 0;
    for (uint32_t id = 0; id < adapter.factors.size(); ++id) {
        const model::MatrixInfo& info = base.matrices[model::MatrixId{id}];
        for (uint32_t part = 0; part < adapter.factors[id].size(); ++part) {
            const model::LowRank* factor = adapter.find(model::MatrixId{id}, part);
            if (factor == nullptr) continue;
            require(part < info.matrices && std::isfinite(factor->scale));
            require(factor->a.rows == factor->b.rows && factor->a.cols == info.cols &&
                    factor->b.cols == info.rows);
            most = std::max(most, factor->a.rows);
            walk(factor->a, adapter.memory);
            walk(factor->b, adapter.memory);
        }
    }
    require(most == adapter.mostRank && adapter.counts.pairs > 0);
}

base::Result<formats::AdapterFile> read(bool gguf, std::span<const std::byte> bytes) {
    if (gguf) return formats::parseGgufAdapter(bytes, "fuzz.gguf");
    const size_t length = std::min(bytes.size() - 2, std::to_integer<size_t>(bytes[0]) +
                                                         std::to_integer<size_t>(bytes[1]) * 256);
    const std::string_view config(reinterpret_cast<const char*>(bytes.data()) + 2, length);
    return formats::parsePeftAdapter(config, bytes.subspan(2 + length), "fuzz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto file = read((data[0] & 1) != 0, bytes.subspan(1));
    const auto explained = [](const base::Error& error) {
        require(error.code != base::Code::Internal && !base::render(error).empty());
    };
    if (!file.ok()) {
        explained(file.error());
        return 0;
    }
    const Base& base = bases()[(data[0] >> 1) % bases().size()];
    const auto adapter = model::loadAdapter(*file, base.config, base.matrices);
    if (adapter.ok())
        requireSound(**adapter, base);
    else
        explained(adapter.error());
    return 0;
}
