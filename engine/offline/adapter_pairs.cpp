#include "engine/offline/adapter_pairs.h"

#include <cstring>
#include <utility>

#include "engine/model/adapter_names.h"
#include "engine/offline/encoding.h"

namespace conclave::engine::offline {
namespace {

using base::Code;
using base::Error;
using base::Result;
using kernels::MatrixView;
using model::LowRank;
using model::MatrixId;
using model::MatrixInfo;
using model::ModelConfig;
using model::Role;

bool sameValues(const MatrixView& x, const MatrixView& y) {
    if (x.rows != y.rows || x.cols != y.cols) return false;
    return (x.format == y.format && x.data == y.data) || decoded(x) == decoded(y);
}

/// The format that loses nothing of A and of what stands in B: that of B where it is narrow and A, which lies
/// in memory as floats where matrices share it, holds no more.
quant::Format formatOf(const MatrixView& a, const MatrixView& b) {
    if (a.format == b.format) return a.format;
    const bool wideA = a.format == quant::Format::F32;
    if (!wideA && b.format != quant::Format::F32) return quant::Format::F32;
    const quant::Format narrow = wideA ? b.format : a.format;
    return holds(narrow, decoded(wideA ? a : b)) ? narrow : quant::Format::F32;
}

AdapterFactors plain(const MatrixInfo& info, uint32_t part, const LowRank& factor) {
    AdapterFactors out;
    out.role = info.role;
    out.layer = info.layer;
    out.part = part;
    out.parts = info.matrices;
    out.rank = factor.a.rows;
    out.inputs = factor.a.cols;
    out.outputs = factor.b.cols;
    out.scale = factor.scale;
    out.format = formatOf(factor.a, factor.b);
    out.aView = factor.a;
    out.bViews = {{factor.b, factor.b.cols}};
    return out;
}

/// Puts the halves of one layer's kv_b together: a head's key half is A = B_head^T, B = A^T.
class WholeKvB {
  public:
    WholeKvB(const model::Adapter& adapter, const ModelConfig& config, const std::string& file)
        : adapter_(adapter), config_(config), file_(file) {}

    Result<AdapterFactors> join(MatrixId key, MatrixId value, uint32_t layer) {
        out_ = {};
        out_.role = Role::LatentB;
        out_.layer = layer;
        out_.inputs = config_.latentRank;
        out_.outputs = config_.heads * (config_.nopeDim + config_.valueDim);
        for (uint32_t head = 0; head < config_.heads; ++head) {
            const LowRank* keys = adapter_.find(key, head);
            if (keys != nullptr) CONCLAVE_TRY_VOID(shareA(keys->b, keys->a, keys->scale));
            out_.bViews.push_back({keys != nullptr ? keys->a : MatrixView{}, config_.nopeDim});
            const LowRank* values = adapter_.find(value, head);
            if (values != nullptr) CONCLAVE_TRY_VOID(shareA(values->a, values->b, values->scale));
            out_.bViews.push_back({values != nullptr ? values->b : MatrixView{}, config_.valueDim});
        }
        return out_;
    }

  private:
    /// `b` is what meets A in this half of a head.
    Result<void> shareA(const MatrixView& a, const MatrixView& b, float scale) {
        if (out_.rank == 0) {
            out_.aView = a;
            out_.rank = a.rows;
            out_.scale = scale;
            out_.format = formatOf(a, b);
        }
        if (formatOf(out_.aView, b) != out_.format) out_.format = quant::Format::F32;
        if (scale == out_.scale && sameValues(a, out_.aView)) return {};
        return Error{Code::UnsupportedOption,
                     file_,
                     "kv_b of layer " + std::to_string(out_.layer),
                     {"a factor of its own for every head", "here kv_b is one matrix, whose heads share A"}};
    }

    const model::Adapter& adapter_;
    const ModelConfig& config_;
    const std::string& file_;
    AdapterFactors out_;
};

}  // namespace

std::vector<float> AdapterFactors::a() const {
    return decoded(aView);
}

std::vector<float> AdapterFactors::b() const {
    std::vector<float> stacked(size_t{outputs} * rank, 0.0f);
    size_t first = 0;
    for (const Rows& rows : bViews) {
        const std::vector<float> values =
            rows.view.data != nullptr ? decoded(rows.view) : std::vector<float>(size_t{rank} * rows.rows);
        for (size_t k = 0; k < rank; ++k)
            for (size_t i = 0; i < rows.rows; ++i)
                stacked[(first + i) * rank + k] = values[k * rows.rows + i];
        first += rows.rows;
    }
    if (order.empty()) return stacked;
    std::vector<float> out(stacked.size());
    for (size_t o = 0; o < outputs; ++o)
        std::memcpy(&out[o * rank], &stacked[size_t{order[o]} * rank], rank * sizeof(float));
    return out;
}

Result<std::vector<AdapterFactors>> factorsOf(const model::Adapter& adapter, const AdapterBase& base,
                                              const AdapterForm& form, const std::string& file) {
    const model::MatrixTable& table = base.outline.matrices;
    const ModelConfig& config = base.outline.config;
    const bool reorder = config.latentRank == 0 && form.rowsInPairs != config.rope.interleaved;
    std::vector<AdapterFactors> out;
    for (uint32_t i = 0; i < table.matrices.size() && i < adapter.factors.size(); ++i) {
        const MatrixId id{i};
        const MatrixInfo& info = table[id];
        const bool half = info.role == Role::LatentKey || info.role == Role::LatentValue;
        if (half && form.wholeKvB) {
            const auto key = table.find(Role::LatentKey, info.layer),
                       value = table.find(Role::LatentValue, info.layer);
            const bool keys = !adapter.factors[static_cast<size_t>(*key)].empty();
            const bool values = !adapter.factors[static_cast<size_t>(*value)].empty();
            // Once a layer: with the key half, or with the value half where there is no other.
            if (info.role == Role::LatentKey ? keys : !keys && values) {
                CONCLAVE_TRY(AdapterFactors whole,
                             WholeKvB(adapter, config, file).join(*key, *value, info.layer));
                out.push_back(std::move(whole));
            }
            continue;
        }
        for (uint32_t part = 0; part < info.matrices; ++part) {
            const LowRank* factor = adapter.find(id, part);
            if (factor == nullptr) continue;
            AdapterFactors factors = plain(info, part, *factor);
            // An adapter has nothing to do with a table that rows are looked up in.
            if (info.role == Role::Embedding) factors.role = Role::Head;
            if (reorder && (info.role == Role::Query || info.role == Role::Key))
                factors.order = model::rotatedOrder(info.rows, config.keyDim, form.rowsInPairs);
            out.push_back(std::move(factors));
        }
    }
    return out;
}

}  // namespace conclave::engine::offline
