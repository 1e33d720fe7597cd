#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/formats/hash_key.h"
#include "engine/formats/text_list.h"

namespace conclave::engine::formats {

/// Text -> its number in a TextList, in a flat table of eight bytes a slot (open addressing, one step after
/// another). It holds no text: every call is given the list, which may have grown or moved since. Reading is
/// safe from many threads.
class TextIndex {
  public:
    static constexpr uint32_t kNone = 0xFFFFFFFF;

    /// An index of nothing.
    TextIndex() : TextIndex(0) {}
    /// Room for `most` texts, which is not enlarged; below 2^31.
    explicit TextIndex(size_t most, const HashKey& key = processHashKey());

    /// Adds texts[at]; false where the same text is there already, which stays.
    bool add(const TextList& texts, uint32_t at);
    /// The number under which `text` was added, or kNone.
    uint32_t find(const TextList& texts, std::string_view text) const;

    bool empty() const { return size_ == 0; }

  private:
    // Nearly all of what is not the text differs in its tag, without a look at the list.
    struct Slot {
        uint32_t tag = 0, at = kNone;
    };
    size_t slotOf(const TextList& texts, std::string_view text, uint64_t hash) const;

    HashKey key_;
    std::vector<Slot> slots_;
    size_t size_ = 0, most_;
};

}  // namespace conclave::engine::formats
