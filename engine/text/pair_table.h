#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/formats/hash_key.h"

namespace conclave::engine::text {

/// Two symbols -> a number, in a flat table of thirteen bytes a slot (open addressing, one step after
/// another). Made for text, most of whose neighbours are no pair: for those one byte is looked at. Reading is
/// safe from many threads.
class PairTable {
  public:
    static constexpr uint32_t kNone = 0xFFFFFFFF;

    /// `multiplier` is odd. As long as nobody who writes a file can know it, no set of pairs is likely to
    /// fall on few slots (Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair
    /// problem", 1997: multiply-shift).
    explicit PairTable(uint64_t multiplier = formats::processHashKey().first | 1);

    /// Room for so many pairs without growing.
    void reserve(size_t pairs);
    /// Keeps what is there already. The symbols are not kNone.
    void add(uint32_t left, uint32_t right, uint32_t value);
    /// The value of a pair, or kNone.
    uint32_t find(uint32_t left, uint32_t right) const {
        const uint64_t key = keyOf(left, right);
        const Place place = placeOf(key);
        if ((marks_[place.slot] & place.mark) == 0) return kNone;
        return values_[slotOf(key, place.slot)];
    }

  private:
    static constexpr uint64_t kEmpty = ~uint64_t{0};
    struct Place {
        size_t slot;   ///< where the search begins
        uint8_t mark;  ///< the bit in that slot's byte which every pair of this place sets
    };

    static uint64_t keyOf(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }
    Place placeOf(uint64_t key) const {
        const uint64_t place = key * multiplier_ >> shift_;
        return {static_cast<size_t>(place / 8), static_cast<uint8_t>(1U << place % 8)};
    }
    /// Where the pair is, or the empty slot where it would be.
    size_t slotOf(uint64_t key, size_t slot) const {
        const uint64_t* keys = keys_.data();
        while (keys[slot] != key && keys[slot] != kEmpty)
            slot = (slot + 1) & (keys_.size() - 1);
        return slot;
    }
    void resize(size_t slots);
    void insert(uint64_t key, uint32_t value);

    uint64_t multiplier_;
    unsigned shift_ = 0;
    size_t size_ = 0;
    std::vector<uint8_t> marks_;
    std::vector<uint64_t> keys_;
    std::vector<uint32_t> values_;  // kNone in an empty slot
};

}  // namespace conclave::engine::text
