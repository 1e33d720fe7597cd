#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "engine/kernels/kernels.h"
#include "engine/model/tensor_list.h"
#include "engine/model/workspace.h"

namespace conclave::engine::model {

struct Pass;

/// What an adapter adds to one matrix: y += scale * B (A x).
struct LowRank {
    kernels::MatrixView a, b;  ///< A [rank][inputs], B [outputs][rank]
    float scale = 1;
};

/// A loaded adapter's factors by matrix and part of it; what is not there stays as it is.
struct Adapter {
    std::map<std::pair<MatrixId, uint32_t>, LowRank> factors;
};

/// A run of a step's rows that use one adapter.
struct AdapterRows {
    const Adapter* adapter = nullptr;
    uint32_t firstRow = 0, rows = 0;
};

/// y = x W^T for the given parts, then each row group's adapter: the one door through which every product
/// with weights goes, the router, both absorbed halves of kv_b and each expert included. x [rows][inputs], y
/// [rows][outputs], both wide enough for the parts' columns. Rows without an adapter skip its sum altogether.
void project(Pass& pass, std::span<const Part> parts, MatrixId id, kernels::ConstRows x, kernels::Rows y);

/// The same for a plain matrix and all rows of x.
void project(Pass& pass, MatrixId id, kernels::ConstRows x, kernels::Rows y);

}  // namespace conclave::engine::model
