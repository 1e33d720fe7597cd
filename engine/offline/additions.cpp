#include "engine/offline/additions.h"

#include <cstring>
#include <utility>

#include "engine/offline/encoding.h"

namespace conclave::engine::offline {
namespace {

constexpr size_t kTile = 16;  // values whose sums stay in registers

/// values[i] += Σ over k of factors[k] * rows[k * values.size() + i], in this order.
void addProduct(std::span<const float> factors, const float* rows, std::span<float> values) {
    const size_t size = values.size();
    size_t at = 0;
    for (; at + kTile <= size; at += kTile) {
        using Floats = float __attribute__((vector_size(kTile * sizeof(float))));
        Floats sum{}, row, before;
        for (size_t k = 0; k < factors.size(); ++k) {
            std::memcpy(&row, rows + k * size + at, sizeof row);
            sum += factors[k] * row;
        }
        std::memcpy(&before, &values[at], sizeof before);
        before += sum;
        std::memcpy(&values[at], &before, sizeof before);
    }
    for (; at < size; ++at) {
        float sum = 0;
        for (size_t k = 0; k < factors.size(); ++k)
            sum += factors[k] * rows[k * size + at];
        values[at] += sum;
    }
}

/// scale times column `column` of [rank][width].
std::vector<float> scaledColumn(float scale, const std::vector<float>& matrix, size_t rank, size_t width,
                                size_t column) {
    std::vector<float> out(rank);
    for (size_t k = 0; k < rank; ++k)
        out[k] = scale * matrix[k * width + column];
    return out;
}

}  // namespace

void AddedMatrix::addRow(uint32_t row, std::span<float> values) const {
    for (const Product& p : products_) {
        CONCLAVE_CHECK(values.size() == p.inputs && row < p.outputs);
        addProduct(scaledColumn(p.scale, p.b, p.rank, p.outputs, row), p.a.data(), values);
    }
}

void AddedMatrix::addColumn(uint32_t column, std::span<float> values) const {
    for (const Product& p : products_) {
        CONCLAVE_CHECK(values.size() == p.outputs && column < p.inputs);
        addProduct(scaledColumn(p.scale, p.a, p.rank, p.inputs, column), p.b.data(), values);
    }
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
