#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tensor_directory.h"
#include "engine/kernels/kernels.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/residency/plan.h"

namespace conclave::engine::residency {

/// A plan carried out: every place filled, in memory of our own, so that the files may change or vanish
/// afterwards. Immutable; safe to read from any thread. Move-only.
class Weights {
  public:
    /// Matrix `part` (an expert, a head, 0) of place `index`.
    kernels::MatrixView matrix(size_t index, uint32_t part = 0) const;
    uint32_t parts(size_t index) const { return places_[index].matrices; }
    /// Place `index` as float32 values; it must have been kept as such.
    const float* vector(size_t index) const;
    uint64_t bytes() const { return memory_.size(); }

  private:
    friend base::Result<Weights>
    loadWeights(const Plan& plan, const formats::TensorDirectory& tensors, platform::Team& team,
                const std::function<void(uint64_t done, uint64_t total)>& progress);
    std::vector<Place> places_;
    uint32_t blockRows_ = 0, blockCols_ = 0;
    platform::Memory memory_;
};

/// Copies what `plan` (made from these `tensors`) says, on all of `team`. progress(bytes done, bytes in all)
/// may be empty; it is called on this thread. Pages of a mapped file are given back as they are copied, so
/// that the peak stays near the size of the plan. Errors: OutOfMemory; FileChanged where a file changed on
/// disk meanwhile.
base::Result<Weights> loadWeights(const Plan& plan, const formats::TensorDirectory& tensors,
                                  platform::Team& team,
                                  const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace conclave::engine::residency
