#include "engine/kernels/cpu/int8_matmul.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/kernels/cpu/stripes.h"
#include "engine/kernels/reference/loops.h"
#include "engine/kernels/reference/work.h"

namespace conclave::engine::kernels::cpu {
namespace {

using platform::Range;
using reference::aligned;

/// Stripes of weights that stay in the second cache while all tiles of activations pass: 192 rows.
constexpr uint32_t kStripesTogether = 12;
/// Whoever is done takes the next piece, this part of a worker's share of what is left: large ones first,
/// which are read in runs, small ones at the end, so that nobody waits long for the last. A core that a
/// neighbour slows down takes fewer. No bit depends on who multiplies a stripe.
constexpr size_t kPartOfShare = 2;
/// Stripes that a piece of few rows has at least, so that it is read in runs.
constexpr size_t kLeastStripes = 4;
/// Activations up to which every worker rounds all of them for itself: less than waiting for each other
/// costs.
constexpr size_t kRoundAlone = 32768;

/// How the rows of a group are dealt to tiles: evenly, since a tile of one row costs as much as one of three.
struct Split {
    uint32_t tiles, each, more;  // `more` tiles have one row more
    Split(uint32_t rows, uint32_t most)
        : tiles((rows + most - 1) / most), each(rows / tiles), more(rows % tiles) {}
    uint32_t first(uint32_t tile) const { return tile * each + std::min(tile, more); }
    uint32_t rows(uint32_t tile) const { return each + (tile < more ? 1 : 0); }
};

size_t rowBytesOf(size_t cols) {
    return cols / 32 * kTileBlockBytes;
}
/// A row as the reference's loops round it: values, scales, sums, sums of sixteen; then what that leaves of
/// it.
size_t roundedBytes(size_t cols) {
    return aligned(cols + cols / 2) + aligned(cols * sizeof(float));
}

/// Puts one rounded row where the tile has it: row `row` of `rows`, for weights with this offset.
void placeRow(const reference::Int8Row& rounded, size_t cols, int32_t offset, uint32_t row, uint32_t rows,
              std::byte* tile) {
    for (size_t block = 0; block < cols / 32; ++block, tile += size_t{kTileBlockBytes} * rows) {
        const int8_t* values = rounded.values + 32 * block;
        for (size_t j = 0; j < 8; ++j)
            std::memcpy(tile + (j * rows + row) * 4, values + 4 * j, 4);
        const float first = rounded.halfSums[2 * block], second = rounded.halfSums[2 * block + 1];
        const int32_t minus[3] = {-offset * static_cast<int32_t>(first + second),
                                  -offset * static_cast<int32_t>(first),
                                  -offset * static_cast<int32_t>(second)};
        std::byte* rest = tile + size_t{32} * rows + size_t{4} * row;
        std::memcpy(rest, rounded.scales + block, 4);
        std::memcpy(rest + size_t{4} * rows, rounded.sums + block, 4);
        for (size_t i = 0; i < 3; ++i)
            std::memcpy(rest + (2 + i) * 4 * rows, minus + i, 4);
    }
}

/// One launch: the groups, their tiles, and where the rounded activations lie. Neighbours of the same rows of
/// x (gate and up, queries and keys) share their tiles.
class Launching {
  public:
    Launching(const Tiles& kernels, std::span<const MatmulGroup> groups, ConstRows x, uint32_t terms)
        : kernels_(kernels), groups_(groups), x_(x), terms_(terms) {
        for (size_t i = 0; i < groups.size(); ++i) {
            const MatmulGroup& group = groups[i];
            deepest_ = std::max<size_t>(deepest_, group.w.cols);
            cost_ += costOf(group) * stripesOf(group);
            stripes_ += stripesOf(group);
            multiplied_ += group.rows;
            if (sharesTiles(i)) continue;
            rows_ += group.rows;
            values_ += size_t{group.rows} * group.w.cols * terms;
        }
    }

    size_t tileBytes() const { return aligned(rows_ * terms_ * rowBytesOf(deepest_)); }
    size_t roundingBytes() const { return roundedBytes(deepest_); }
    size_t rows() const { return rows_; }
    size_t values() const { return values_; }
    size_t work() const { return cost_; }

    /// Rounds the rows that are `share` of all.
    void round(Range share, std::byte* tiles, std::byte* scratch) const {
        size_t before = 0;
        for (size_t i = 0; i < groups_.size(); ++i) {
            if (sharesTiles(i)) continue;
            const MatmulGroup& group = groups_[i];
            const size_t begin = std::max(share.begin, before),
                         end = std::min(share.end, before + group.rows);
            if (begin < end) roundGroup(group, before, {begin - before, end - before}, tiles, scratch);
            before += group.rows;
        }
    }

    /// Where the piece ends that begins at `from`.
    size_t pieceEnd(size_t from, size_t workers) const {
        const size_t wanted = multiplied_ < 4 * groups_.size() ? kLeastStripes : kStripesTogether;
        const size_t least = std::clamp<size_t>(stripes_ / workers, 1, wanted);  // something for everybody
        const size_t part = (cost_ - from) / (kPartOfShare * workers);
        return std::min(cost_, from + std::max(part, cost_ / stripes_ * least));
    }

    /// Multiplies a piece of all stripes, measured by what they cost.
    void multiply(size_t from, size_t to, const std::byte* tiles) const {
        size_t before = 0, row = 0;
        for (size_t i = 0; i < groups_.size(); ++i) {
            const MatmulGroup& group = groups_[i];
            if (i > 0 && !sharesTiles(i)) row += groups_[i - 1].rows;
            const size_t each = costOf(group), stripes = stripesOf(group);
            // A stripe belongs to whoever has its first bit of cost.
            const auto at = [&](size_t cost) {
                return cost <= before ? 0 : std::min(stripes, (cost - before + each - 1) / each);
            };
            if (group.rows > 0) multiplyGroup(group, {at(from), at(to)}, tileAt(tiles, row));
            before += each * stripes;
        }
    }

  private:
    /// Whether group `i` multiplies the rows that the group before it does.
    bool sharesTiles(size_t i) const {
        if (i == 0) return false;
        const MatmulGroup &before = groups_[i - 1], &group = groups_[i];
        return group.firstRow == before.firstRow && group.rows == before.rows &&
               group.xColumn == before.xColumn && group.w.cols == before.w.cols;
    }
    static size_t stripesOf(const MatmulGroup& group) {
        return group.rows == 0 ? 0 : (group.w.rows + kStripeRows - 1) / kStripeRows;
    }
    /// Reading a stripe takes about as long as multiplying it with three rows.
    size_t costOf(const MatmulGroup& group) const {
        return size_t{std::max(group.rows * terms_, 3u)} * group.w.cols * kStripeRows;
    }
    template <class Byte> Byte* tileAt(Byte* tiles, size_t row) const {
        return tiles + row * terms_ * rowBytesOf(deepest_);
    }
    Split splitOf(const MatmulGroup& group) const { return {group.rows, kernels_.mostRows / terms_}; }

    /// Rows `rows` of the group, whose first is row `first` of all.
    void roundGroup(const MatmulGroup& group, size_t first, Range rows, std::byte* tiles,
                    std::byte* scratch) const {
        const size_t cols = group.w.cols;
        auto* floats = reinterpret_cast<float*>(scratch + cols);
        const reference::Int8Row rounded{reinterpret_cast<int8_t*>(scratch), floats, floats + cols / 32,
                                         floats + cols / 16};
        auto* rest = reinterpret_cast<float*>(scratch + aligned(cols + cols / 2));
        const auto& quantise = *reference::loops().quantise;
        const int32_t offset = stripeForm(group.w.format).offset;
        const Split split = splitOf(group);
        for (uint32_t tile = 0; tile < split.tiles; ++tile) {
            const uint32_t begin = split.first(tile), count = split.rows(tile);
            std::byte* to = tileAt(tiles, first) + begin * terms_ * rowBytesOf(cols);
            for (uint32_t r = 0; r < count; ++r) {
                if (begin + r < rows.begin || begin + r >= rows.end) continue;
                const float* x = x_.row(group.firstRow + begin + r) + group.xColumn;
                quantise(x, cols, rounded, terms_ > 1 ? rest : nullptr);
                placeRow(rounded, cols, offset, r, count * terms_, to);
                if (terms_ == 1) continue;
                quantise(rest, cols, rounded, nullptr);
                placeRow(rounded, cols, offset, count + r, count * terms_, to);
            }
        }
    }

    void multiplyGroup(const MatmulGroup& group, Range stripes, const std::byte* tiles) const {
        const Split split = splitOf(group);
        for (size_t begin = stripes.begin; begin < stripes.end; begin += kStripesTogether) {
            const size_t end = std::min<size_t>(stripes.end, begin + kStripesTogether);
            for (uint32_t tile = 0; tile < split.tiles; ++tile)
                for (size_t stripe = begin; stripe < end; ++stripe)
                    multiplyStripe(group, stripe, split.first(tile), split.rows(tile),
                                   tiles + split.first(tile) * terms_ * rowBytesOf(group.w.cols));
        }
    }

    void multiplyStripe(const MatmulGroup& group, size_t stripe, uint32_t row, uint32_t rows,
                        const std::byte* tile) const {
        const std::byte* weights = group.w.data + stripe * group.w.stride;
        const size_t out = stripe * kStripeRows, left = group.w.rows - out;
        const size_t stride = group.y.stride;
        float* y = group.y.row(group.firstRow + row) + group.yColumn + out;
        const MultiplyTile multiply = kernels_.multiply[rows * terms_ - 1];
        if (left >= kStripeRows && terms_ == 1) return multiply(weights, group.w.cols, tile, y, stride);
        float some[kMostTileRows * kStripeRows];
        multiply(weights, group.w.cols, tile, some, kStripeRows);
        for (size_t i = 0; terms_ > 1 && i < size_t{rows} * kStripeRows; ++i)
            some[i] += some[rows * kStripeRows + i];
        const size_t count = std::min<size_t>(left, kStripeRows);
        for (uint32_t r = 0; r < rows; ++r)
            std::memcpy(y + r * stride, some + size_t{r} * kStripeRows, count * sizeof(float));
    }

    const Tiles& kernels_;
    std::span<const MatmulGroup> groups_;
    ConstRows x_;
    uint32_t terms_;
    size_t rows_ = 0, values_ = 0;  // of all tiles; a shared one counts once
    size_t multiplied_ = 0;         // rows of all groups
    size_t deepest_ = 0, cost_ = 0, stripes_ = 0;
};

}  // namespace

void int8Matmul(const TileTable& table, Launch& launch, std::span<const MatmulGroup> groups, ConstRows x,
                uint32_t terms) {
    const Launching launching(*table.find(groups.front().w.format), groups, x, terms);
    const size_t rows = launching.rows();
    if (rows == 0) return;
    std::atomic<size_t> next{0};
    const auto multiply = [&](size_t workers, const std::byte* tiles) {
        for (size_t from = next; from < launching.work(); from = next) {
            const size_t to = launching.pieceEnd(from, workers);
            if (next.compare_exchange_weak(from, to)) launching.multiply(from, to, tiles);
        }
    };
    if (launching.values() <= kRoundAlone) {
        const size_t perWorker = launching.tileBytes() + launching.roundingBytes();
        reference::overWorkers(launch, launching.work(), [&](size_t worker, size_t workers) {
            std::byte* scratch = reference::workerScratch(launch, 0, perWorker, worker);
            launching.round({0, rows}, scratch, scratch + launching.tileBytes());
            multiply(workers, scratch);
        });
        return;
    }
    std::byte* shared = launch.scratch;
    reference::overWorkers(launch, launching.values() * 4, [&](size_t worker, size_t workers) {
        std::byte* scratch =
            reference::workerScratch(launch, launching.tileBytes(), launching.roundingBytes(), worker);
        launching.round(platform::share(rows, worker, workers), shared, scratch);
    });
    reference::overWorkers(launch, launching.work(),
                           [&](size_t, size_t workers) { multiply(workers, shared); });
}

size_t int8ScratchBytes(const ScratchShape& shape) {
    const size_t alone = kRoundAlone / 32 * kTileBlockBytes + rowBytesOf(shape.deepest + 32);
    constexpr size_t kMostTerms = 2;
    return aligned(shape.rows * kMostTerms * rowBytesOf(shape.deepest + 32)) +
           shape.threads * aligned(aligned(alone) + roundedBytes(shape.deepest + 32) + 2 * reference::kAlign);
}

}  // namespace conclave::engine::kernels::cpu
