#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/tensor_directory.h"
#include "engine/model/names.h"
#include "engine/quant/format.h"
#include "engine/residency/plan.h"

namespace conclave::engine::model {

/// A matrix of a loaded model, or a stack of them (a layer's experts, the heads of kv_b); None where a model
/// has none.
enum class MatrixId : uint32_t { None = UINT32_MAX };
/// A vector of float32 (norm, bias).
enum class VectorId : uint32_t { None = UINT32_MAX };

/// How an architecture says which tensors it has: each call declares one, by role, and gives the id that the
/// forward pass will use. Nothing is read here; a missing tensor is found when the plan is made.
class TensorList {
  public:
    /// `absorbed(stored)` is the format that MLA's absorbed halves of kv_b are kept in.
    TensorList(const formats::TensorDirectory& tensors, Naming naming, std::span<const NameRow> names,
               quant::Format (*absorbed)(quant::Format stored))
        : tensors_(tensors), naming_(naming), names_(names), absorbed_(absorbed) {}

    Naming naming() const { return naming_; }
    bool has(Role role, uint32_t layer = 0) const;

    /// [rows][cols].
    MatrixId matrix(Role role, uint32_t layer, uint32_t rows, uint32_t cols);
    /// `count` matrices [rows][cols]: one stacked tensor, or one tensor an expert.
    MatrixId experts(Role role, uint32_t layer, uint32_t count, uint32_t rows, uint32_t cols);
    VectorId vector(Role role, uint32_t layer, uint32_t size);
    /// None where the file has no such tensor and nobody requires it.
    VectorId optionalVector(Role role, uint32_t layer, uint32_t size, bool required = false);

    /// The halves of kv_b [heads * (nope + value)][rank], one matrix a head: the key's transposed to
    /// [rank][nope], so that queries are brought into the latent's space, and the value's [value][rank].
    struct Halves {
        MatrixId key, value;
    };
    Halves latentHalves(uint32_t layer, uint32_t heads, uint32_t nope, uint32_t value, uint32_t rank);

    /// Everything declared so far, by id.
    const std::vector<residency::Request>& requests() const { return requests_; }
    const std::vector<Role>& roles() const { return roles_; }
    /// The layer of each; 0 for what lies in none.
    const std::vector<uint32_t>& layers() const { return layers_; }

  private:
    /// The alternative of this role that the file has, else the first that the naming knows.
    std::string_view pattern(Role role, uint32_t layer) const;
    quant::Format storedFormat(const std::string& name) const;
    uint32_t add(Role role, uint32_t layer, residency::Request request);
    MatrixId headMatrices(Role role, uint32_t layer, uint32_t heads, uint32_t rows, uint32_t cols);

    const formats::TensorDirectory& tensors_;
    Naming naming_;
    std::span<const NameRow> names_;
    quant::Format (*absorbed_)(quant::Format);
    std::vector<residency::Request> requests_;
    std::vector<Role> roles_;
    std::vector<uint32_t> layers_;
};

}  // namespace conclave::engine::model
