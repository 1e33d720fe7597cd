#pragma once

#include <initializer_list>
#include <span>

#include "engine/kernels/kernels.h"
#include "engine/model/tensor_list.h"
#include "engine/model/workspace.h"

namespace conclave::engine::model {

struct Pass;

/// A projection and where its outputs go.
struct Projection {
    MatrixId id = MatrixId::None;
    kernels::Rows y;  ///< [rows][outputs]
};

/// y = x W^T for the given parts of each projection, then each row group's adapter: the one door through
/// which every product with weights goes, the router, both absorbed halves of kv_b and each expert included.
/// x [rows][inputs] and each y are wide enough for the parts' columns. Projections side by side that share a
/// format are one launch. Rows without an adapter skip its sum altogether.
void project(Pass& pass, std::span<const Part> parts, std::initializer_list<Projection> projections,
             kernels::ConstRows x);

/// The same for plain matrices and all rows of x.
void project(Pass& pass, std::initializer_list<Projection> projections, kernels::ConstRows x);

}  // namespace conclave::engine::model
