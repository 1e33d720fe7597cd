#pragma once

#include <chrono>
#include <span>

#include "engine/kernels/kernels.h"
#include "engine/model/config.h"
#include "engine/model/model.h"
#include "engine/model/project.h"
#include "engine/model/workspace.h"
#include "engine/residency/weights.h"

namespace conclave::engine::model {

/// One step on its way through the layers: what every operation of it needs. Lives on the stack of forward().
struct Pass {
    const ModelConfig& config;
    const kernels::Kernels& kernels;
    const residency::Weights& weights;
    std::span<const kernels::Activation> activations;  ///< by MatrixId
    kernels::KvType kvType;
    Workspace& buffers;
    Step& step;
    kernels::Launch launch;
    uint32_t rows = 0;                      ///< of all slices together
    std::span<const AdapterRows> adapters;  ///< row groups of the step that use one
    std::span<const RouterRows> routers{};  ///< all rows of the step, by how they are routed
    uint32_t slots = 0;                     ///< experts of the row that has most of them
    uint32_t moeLayers = 0;                 ///< layers with experts passed so far

    /// The first rows of a buffer as [rows][cols].
    kernels::Rows view(float* buffer, uint32_t cols) const { return {buffer, rows, cols, cols}; }
    /// Float32 values of a norm or bias.
    const float* vector(VectorId id) const { return weights.vector(static_cast<size_t>(id)); }
    std::span<const kernels::RowPlace> places() const { return buffers.places; }
    /// Where `layer` lies inside a page.
    kernels::KvPlace kv(uint32_t layer) const;
    /// Looked at between layers: the requests behind this step are gone, its result will be thrown away.
    bool stopped() const { return step.stop != nullptr && step.stop->load(std::memory_order_relaxed); }

    void norm(kernels::ConstRows x, VectorId weight, kernels::Rows y);
    void addBias(VectorId bias, kernels::Rows y);  ///< nothing where there is none
    void add(kernels::ConstRows x, kernels::Rows y) { kernels.add(launch, x, y); }
};

/// Adds the time of its scope to a part of the step's times, where somebody wants them.
class Timed {
  public:
    Timed(const Pass& pass, uint64_t StepTimes::*part)
        : sum_(pass.step.times == nullptr ? nullptr : &(pass.step.times->*part)),
          begin_(sum_ == nullptr ? Clock::time_point() : Clock::now()) {}
    ~Timed() {
        if (sum_ != nullptr)
            *sum_ += static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin_).count());
    }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

  private:
    using Clock = std::chrono::steady_clock;
    uint64_t* sum_;
    Clock::time_point begin_;
};

/// Bytes of one position of one layer in the cache.
size_t kvBytesPerPosition(const ModelConfig& config, kernels::KvType type);

}  // namespace conclave::engine::model
