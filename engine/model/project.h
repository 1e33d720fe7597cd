#pragma once

#include <cstdint>
#include <span>

#include "engine/kernels/kernels.h"
#include "engine/model/tensor_list.h"
#include "engine/model/workspace.h"

namespace conclave::engine::model {

struct Pass;

/// y = x W^T for the given parts, then each row group's adapter: the one door through which every product
/// with weights goes, the router, both absorbed halves of kv_b and each expert included. x [rows][inputs], y
/// [rows][outputs], both wide enough for the parts' columns. Rows without an adapter skip its sum altogether.
void project(Pass& pass, std::span<const Part> parts, MatrixId id, kernels::ConstRows x, kernels::Rows y);

/// The same for a plain matrix and all rows of x.
void project(Pass& pass, MatrixId id, kernels::ConstRows x, kernels::Rows y);

}  // namespace conclave::engine::model
