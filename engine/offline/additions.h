#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/model/adapter.h"

namespace conclave::engine::offline {

/// What adapters add to one matrix [outputs][inputs] of a model: the sum of scale * B A, in float32.
class AddedMatrix {
  public:
    /// Adds row `row` of it to values[inputs].
    void addRow(uint32_t row, std::span<float> values) const;
    /// Adds column `column` of it to values[outputs].
    void addColumn(uint32_t column, std::span<float> values) const;

  private:
    friend class Additions;
    struct Product {
        uint32_t rank = 0, inputs = 0, outputs = 0;
        float scale = 1;
        std::vector<float> a, b;  ///< [rank][inputs], [rank][outputs]
    };
    std::vector<Product> products_;
};

/// Adapters that are merged into a model, each with its strength; they add in their order. Immutable once all
/// are added.
class Additions {
  public:
    void add(std::shared_ptr<const model::Adapter> adapter, float strength);

    /// Whether anything is added to any matrix behind `id`.
    bool touch(model::MatrixId id) const;
    /// What is added to one of them; nothing may be.
    AddedMatrix of(model::MatrixId id, uint32_t part) const;

  private:
    struct Use {
        std::shared_ptr<const model::Adapter> adapter;
        float strength = 1;
    };
    std::vector<Use> uses_;
};

}  // namespace conclave::engine::offline
