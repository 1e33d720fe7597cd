#include "engine/text/pair_table.h"

#include <bit>
#include <utility>

#include "engine/base/result.h"

namespace conclave::engine::text {
namespace {

constexpr bool fits(size_t pairs, size_t slots) {
    return pairs <= slots / 4 * 3;
}

}  // namespace

PairTable::PairTable(uint64_t multiplier) : multiplier_(multiplier) {
    CONCLAVE_CHECK(multiplier % 2 == 1);
    resize(16);
}

void PairTable::resize(size_t slots) {
    const std::vector<uint64_t> keys = std::exchange(keys_, std::vector<uint64_t>(slots, kEmpty));
    const std::vector<uint32_t> values = std::exchange(values_, std::vector<uint32_t>(slots, kNone));
    marks_.assign(slots, 0);
    shift_ = 64 - 3 - static_cast<unsigned>(std::countr_zero(slots));
    size_ = 0;
    for (size_t i = 0; i < keys.size(); ++i)
        if (keys[i] != kEmpty) insert(keys[i], values[i]);
}

void PairTable::reserve(size_t pairs) {
    size_t slots = keys_.size();
    while (!fits(pairs, slots))
        slots *= 2;
    if (slots != keys_.size()) resize(slots);
}

void PairTable::add(uint32_t left, uint32_t right, uint32_t value) {
    if (!fits(size_ + 1, keys_.size())) resize(keys_.size() * 2);
    insert(keyOf(left, right), value);
}

void PairTable::insert(uint64_t key, uint32_t value) {
    const Place place = placeOf(key);
    const size_t slot = slotOf(key, place.slot);
    if (keys_[slot] == key) return;
    marks_[place.slot] |= place.mark;
    keys_[slot] = key;
    values_[slot] = value;
    ++size_;
}

}  // namespace conclave::engine::text
