#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/names.h"
#include "engine/model/tensor_list.h"

namespace conclave::engine::model {

/// What stands behind a MatrixId.
struct MatrixInfo {
    Role role;
    uint32_t layer = 0;
    uint32_t matrices = 1;  ///< experts, heads
    uint32_t rows = 0, cols = 0;
};

/// The matrices of a loaded model, for whoever brings parts for them by name.
struct MatrixTable {
    Naming naming = Naming::HuggingFace;  ///< of the model's file
    std::span<const NameRow> names;       ///< of its family
    std::vector<MatrixInfo> matrices;     ///< by MatrixId

    std::optional<MatrixId> find(Role role, uint32_t layer) const {
        for (uint32_t i = 0; i < matrices.size(); ++i)
            if (matrices[i].role == role && matrices[i].layer == layer) return MatrixId{i};
        return std::nullopt;
    }
    const MatrixInfo& operator[](MatrixId id) const { return matrices[static_cast<size_t>(id)]; }
};

}  // namespace conclave::engine::model
