#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/reference/loops.h"

/// The operations of the reference row; each is described at its member of Kernels. They check nothing but
/// the size of the scratch, split outputs over the team and leave the arithmetic to loops.h.
namespace conclave::engine::kernels::reference {

/// Rows of integers that stand for one row of activations: 1, 2 (Int8x2), or 0 where none do.
constexpr uint32_t int8Terms(Activation activation) {
    return activation == Activation::Int8 ? 1 : activation == Activation::Int8x2 ? 2 : 0;
}

void embed(Launch& launch, const MatrixView& table, std::span<const base::TokenId> ids, Rows out);
void norm(Launch& launch, ConstRows x, const float* weight, float eps, Rows y);
void rope(Launch& launch, const RopeArgs& args);
void matmul(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation);
/// The same with another way to the same bits of BF16 products.
void matmul(Launch& launch, std::span<const MatmulGroup> groups, ConstRows x, Activation activation,
            MultiplyBfloat16s product);
void addBias(Launch& launch, const float* bias, Rows y);
void add(Launch& launch, ConstRows x, Rows y);
void gateUp(Launch& launch, ConstRows gate, ConstRows up, Rows y);
void clamp(Launch& launch, float limit, Rows y);
void storeKv(Launch& launch, const StoreKvArgs& args);
void attend(Launch& launch, const AttendArgs& args);
void storeLatent(Launch& launch, const StoreLatentArgs& args);
void attendLatent(Launch& launch, const AttendLatentArgs& args);
void route(Launch& launch, const RouteArgs& args);
void gather(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to);
void scatter(Launch& launch, ConstRows from, std::span<const uint32_t> rows, Rows to);
void combine(Launch& launch, const CombineArgs& args);
void lowRank(Launch& launch, std::span<const LowRankGroup> groups, ConstRows x, Rows y);

size_t scratchBytes(const ScratchShape& shape);
size_t attendScratchBytes(const ScratchShape& shape);

extern const Kernels kRow;

}  // namespace conclave::engine::kernels::reference
