#include "engine/formats/text_index.h"

#include <bit>

namespace conclave::engine::formats {
namespace {

uint32_t tagOf(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

// A quarter of the slots stays empty, and one always does: there a search ends.
TextIndex::TextIndex(size_t most, const HashKey& key)
    : key_(key), slots_(std::bit_ceil(most + most / 3 + 1)), most_(most) {
    CONCLAVE_CHECK(most < size_t{1} << 31);
}

/// Where the text is, or the empty slot where it would be.
size_t TextIndex::slotOf(const TextList& texts, std::string_view text, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot].at != kNone && (slots_[slot].tag != tagOf(hash) || texts[slots_[slot].at] != text))
        slot = (slot + 1) & mask;
    return slot;
}

bool TextIndex::add(const TextList& texts, uint32_t at) {
    const uint64_t hash = hashOf(texts[at], key_);
    Slot& slot = slots_[slotOf(texts, texts[at], hash)];
    if (slot.at != kNone) return false;
    CONCLAVE_CHECK(size_ < most_);
    ++size_;
    slot = {tagOf(hash), at};
    return true;
}

uint32_t TextIndex::find(const TextList& texts, std::string_view text) const {
    return slots_[slotOf(texts, text, hashOf(text, key_))].at;
}

}  // namespace conclave::engine::formats
