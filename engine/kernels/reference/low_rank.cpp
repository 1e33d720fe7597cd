#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/operations.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::reference {
namespace {

/// Groups whose A x lies in scratch at the same time, each cut to the rows that fit.
class Batch {
  public:
    Batch(ConstRows x, Rows y, float* middle) : x_(x), y_(y), middle_(middle) {}

    void add(const LowRankGroup& group) {
        groups_[count_] = group;
        begins_[count_++] = used_;
        used_ += size_t{group.rows} * group.a.rows;
        work_ += size_t{group.rows} * group.a.rows * (size_t{group.a.cols} + group.b.cols);
        perWorker_ = std::max({perWorker_, kTileRows * group.a.cols, kTileRows * group.a.rows});
    }
    bool full() const { return count_ == kMostGroups; }
    size_t used() const { return used_; }

    /// Both products on all workers: the second needs the whole of the first.
    void run(Launch& launch) {
        if (count_ == 0) return;
        const auto tileOf = [&](size_t worker) {
            return reinterpret_cast<float*>(
                workerScratch(launch, used_ * sizeof(float), perWorker_ * sizeof(float), worker));
        };
        overWorkers(launch, work_, [&](size_t worker, size_t workers) {
            for (size_t i = 0; i < count_; ++i)
                multiplyDown(i, platform::share(groups_[i].a.rows, worker, workers), tileOf(worker));
        });
        // By columns of y, so that no two workers add to the same value.
        overWorkers(launch, work_, [&](size_t worker, size_t workers) {
            const platform::Range columns = platform::share(y_.cols, worker, workers, kTileRows);
            for (size_t i = 0; i < count_; ++i) {
                const size_t first = groups_[i].yColumn;
                const size_t begin = std::max(columns.begin, first),
                             end = std::min(columns.end, first + groups_[i].b.cols);
                if (begin < end) multiplyUp(i, {begin - first, end - first}, tileOf(worker));
            }
        });
        count_ = used_ = work_ = perWorker_ = 0;
    }

  private:
    static constexpr size_t kMostGroups = 128;
    static constexpr size_t kMostDecoded = 256;  ///< outputs whose part of B stays in the first cache

    /// Values range.begin … range.end - 1 of A x.
    void multiplyDown(size_t index, platform::Range range, float* tile) const {
        const LowRankGroup& group = groups_[index];
        for (size_t k = range.begin; k < range.end; k += kTileRows) {
            const size_t count = std::min(kTileRows, range.end - k);
            multiplyFloatRows(group.a, k, count, tile, x_.row(group.firstRow) + group.xColumn, x_.stride,
                              group.rows, middle_ + begins_[index] + k, group.a.rows);
        }
    }

    /// Outputs range.begin … range.end - 1, as many at a time as a tile of decoded B holds.
    void multiplyUp(size_t index, platform::Range range, float* tile) const {
        const LowRankGroup& group = groups_[index];
        const size_t rank = group.b.rows;
        const bool decoded = group.b.format != quant::Format::F32;
        const size_t most =
            decoded ? std::clamp(perWorker_ / rank / kTileRows * kTileRows, kTileRows, kMostDecoded)
                    : range.end - range.begin;
        for (size_t o = range.begin; o < range.end; o += most) {
            const size_t count = std::min(most, range.end - o);
            const std::byte* from = group.b.data + quant::rowBytes(group.b.format, o);
            const auto* b = reinterpret_cast<const float*>(from);
            size_t stride = group.b.stride / sizeof(float);
            if (decoded) {
                for (size_t k = 0; k < rank; ++k)
                    loops().decode(group.b.format, from + k * group.b.stride, count, tile + k * count);
                b = tile;
                stride = count;
            }
            for (size_t r = 0; r < group.rows; ++r)
                loops().addLowRank(middle_ + begins_[index] + r * rank, rank, b, stride, count, group.scale,
                                   y_.row(group.firstRow + r) + group.yColumn + o);
        }
    }

    ConstRows x_;
    Rows y_;
    float* middle_;  // [rows][rank] of each group
    LowRankGroup groups_[kMostGroups];
    size_t begins_[kMostGroups];
    size_t count_ = 0, used_ = 0, work_ = 0;
    size_t perWorker_ = 0;  // floats
};

}  // namespace

void lowRank(Launch& launch, std::span<const LowRankGroup> groups, ConstRows x, Rows y) {
    // Floats of a batch: scratchBytes keeps a chunk of the widest rows for all workers together.
    size_t widest = 0;
    for (const LowRankGroup& group : groups)
        widest = std::max<size_t>({widest, group.a.cols, group.a.rows});
    const size_t most = widest * std::min<size_t>(x.rows, kChunkRows);
    Batch batch(x, y, reinterpret_cast<float*>(launch.scratch));
    for (LowRankGroup group : groups)
        for (uint32_t left = group.rows; left > 0; left -= group.rows, group.firstRow += group.rows) {
            if (batch.full() || batch.used() + group.a.rows > most) batch.run(launch);
            group.rows =
                std::min<uint32_t>(left, static_cast<uint32_t>((most - batch.used()) / group.a.rows));
            batch.add(group);
        }
    batch.run(launch);
}

}  // namespace conclave::engine::kernels::reference
