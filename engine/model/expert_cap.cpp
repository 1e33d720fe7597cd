#include "engine/model/expert_cap.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace conclave::engine::model {
namespace {

bool isForced(const CapArgs& args, uint32_t row) {
    return args.forced != nullptr && args.forced[size_t{row} * args.slots] >= 0;
}

/// The best expert for a row that has room and that the row has not; -1 where there is none.
int32_t nextBest(const CapArgs& args, uint32_t row, uint32_t cap) {
    const float* choice = args.choice + size_t{row} * args.experts;
    const int32_t* own = args.ids + size_t{row} * args.slots;
    int32_t best = -1;
    float most = -std::numeric_limits<float>::infinity();
    for (uint32_t e = 0; e < args.experts; ++e) {
        const auto id = static_cast<int32_t>(e);
        if (choice[e] > most && args.load[e] < cap &&
            std::find(own, own + args.slots, id) == own + args.slots) {
            best = id;
            most = choice[e];
        }
    }
    return best;
}

}  // namespace

uint32_t capExperts(const CapArgs& args) {
    std::fill_n(args.load, args.experts, 0u);
    const size_t all = size_t{args.rows} * args.slots;
    const auto used = std::count_if(args.ids, args.ids + all, [](int32_t id) { return id >= 0; });
    const auto cap = static_cast<uint32_t>(
        std::max(1.0, std::ceil(double{args.factor} * static_cast<double>(used) / args.experts)));
    for (size_t i = 0; i < all; ++i)
        if (args.ids[i] >= 0) ++args.load[args.ids[i]];
    // From the end, so that what comes first stays.
    uint32_t moved = 0;
    for (uint32_t slot = args.slots; slot-- > 0;)
        for (uint32_t row = args.rows; row-- > 0;) {
            int32_t& id = args.ids[size_t{row} * args.slots + slot];
            if (id < 0 || args.load[id] <= cap || isForced(args, row)) continue;
            const int32_t other = nextBest(args, row, cap);
            if (other < 0) continue;
            --args.load[id];
            ++args.load[other];
            id = other;
            ++moved;
        }
    return moved;
}

}  // namespace conclave::engine::model
