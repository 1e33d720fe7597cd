#include "engine/offline/additions.h"

#include <utility>

#include "engine/offline/encoding.h"

namespace conclave::engine::offline {
namespace {

/// sum += factor * values, for as many values as sum has.
void accumulate(float factor, const float* values, std::span<float> sum) {
    for (size_t i = 0; i < sum.size(); ++i)
        sum[i] += factor * values[i];
}

}  // namespace

void AddedMatrix::addRow(uint32_t row, std::span<float> values) const {
    std::vector<float> sum(values.size(), 0.0f);
    for (const Product& p : products_) {
        CONCLAVE_CHECK(values.size() == p.inputs && row < p.outputs);
        for (size_t k = 0; k < p.rank; ++k)
            accumulate(p.scale * p.b[k * p.outputs + row], &p.a[k * p.inputs], sum);
    }
    accumulate(1.0f, sum.data(), values);
}

void AddedMatrix::addColumn(uint32_t column, std::span<float> values) const {
    std::vector<float> sum(values.size(), 0.0f);
    for (const Product& p : products_) {
        CONCLAVE_CHECK(values.size() == p.outputs && column < p.inputs);
        for (size_t k = 0; k < p.rank; ++k)
            accumulate(p.scale * p.a[k * p.inputs + column], &p.b[k * p.outputs], sum);
    }
    accumulate(1.0f, sum.data(), values);
}

void Additions::add(std::shared_ptr<const model::Adapter> adapter, float strength) {
    uses_.push_back({std::move(adapter), strength});
}

bool Additions::touch(model::MatrixId id) const {
    const auto index = static_cast<size_t>(id);
    for (const Use& use : uses_)
        if (use.strength != 0 && index < use.adapter->factors.size() && !use.adapter->factors[index].empty())
            return true;
    return false;
}

AddedMatrix Additions::of(model::MatrixId id, uint32_t part) const {
    AddedMatrix out;
    for (const Use& use : uses_) {
        const model::LowRank* factor = use.adapter->find(id, part);
        if (factor == nullptr || use.strength == 0) continue;
        out.products_.push_back({factor->a.rows, factor->a.cols, factor->b.cols, use.strength * factor->scale,
                                 decoded(factor->a), decoded(factor->b)});
    }
    return out;
}

}  // namespace conclave::engine::offline
