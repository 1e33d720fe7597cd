#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/text_index.h"
#include "engine/formats/text_list.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/text/pair_table.h"

namespace conclave::engine::text {

/// Joins the characters (or bytes) of a piece into tokens: of all neighbouring pairs that may be joined the
/// best goes first, and of equals the leftmost, until none is left. Sources: Sennrich, Haddow and Birch 2016
/// for merges with ranks; SentencePiece's BPE for scores. Immutable; safe to share between threads.
///
/// Control, unknown and byte tokens are never the result of joining, so that no words of a user can become
/// one.
class Bpe {
  public:
    /// `spec` has passed formats::checkTokenizer. Errors: LimitExceeded, BadTokenizer.
    static base::Result<Bpe> make(const formats::TokenizerSpec& spec);

    /// Memory that pieces share.
    struct Scratch {
        std::vector<uint32_t> piece, symbols, merges;
    };
    /// Appends the piece's tokens. O(n log n) in the piece, O(n) for text that repeats; the piece is shorter
    /// than 4 GiB.
    void encode(std::string_view piece, Scratch& scratch, std::vector<base::TokenId>& out) const;

  private:
    /// A character -> its symbol.
    class CharacterTable {
      public:
        bool add(char32_t c, uint32_t symbol);  ///< false where it has one already
        uint32_t find(char32_t c) const;

      private:
        std::vector<uint32_t> low_;  // below U+10000
        std::unordered_map<char32_t, uint32_t> high_;
    };
    class Queue;

    void readRanks(const formats::TokenizerSpec& spec);
    base::Result<void> readScores(const formats::TokenizerSpec& spec);
    void readSymbols(const formats::TokenizerSpec& spec);
    void readTouching(const formats::TokenizerSpec& spec);
    void readTouchingBytes(const formats::TokenizerSpec& spec, const std::vector<bool>& joined);
    void readTouchingCharacters(const formats::TokenizerSpec& spec, const std::vector<bool>& joined);
    void addTouching(uint32_t left, uint32_t right);
    size_t endOfStretch(std::string_view piece, const std::vector<uint32_t>& symbols, size_t begin) const;
    void readWholePieces(const formats::TokenizerSpec& spec);
    void fallBack(std::string_view character, std::vector<uint32_t>& symbols) const;
    void toSymbols(std::string_view piece, std::vector<uint32_t>& symbols) const;
    uint32_t priorityOf(uint32_t merge) const { return priorities_.empty() ? merge : priorities_[merge]; }
    void append(uint32_t symbol, std::vector<base::TokenId>& out) const;
    void joinShort(Scratch& scratch) const;
    void joinLong(Scratch& scratch) const;

    bool byteLevel_ = false, byteFallback_ = false, fuseUnknown_ = false;
    uint32_t vocabularySize_ = 0;
    uint32_t unknown_ = 0;                     // kNone where there is none
    std::array<uint32_t, 256> byteSymbols_{};  // byte level: the symbol of each byte; else its <0xNN> token
    CharacterTable characters_;                // others
    // Symbols past the vocabulary stand for characters that are part of tokens but are none themselves.
    std::vector<std::string> pseudoSymbols_;
    PairTable pairs_;                   // which merge joins two symbols
    PairTable touching_;                // symbols that stand side by side in some token
    bool cuts_ = false;                 // touching_ may be relied on
    std::vector<bool> touchingBytes_;   // the same by [byte][byte], where every byte is a symbol
    std::vector<uint32_t> results_;     // by merge: the token
    std::vector<uint32_t> priorities_;  // by merge; empty where the merge's number is its rank
    formats::TextList wholePieces_;     // ignore_merges: by id, empty where a token does not count
    formats::TextIndex wholeIndex_;
};

}  // namespace conclave::engine::text
